"""Looks drawn at random: domain randomisation (Tobin et al., 2017, arXiv:1703.06907, section III).

For every image are drawn
  - a texture for each surface (sky, floor, table, object, each distractor): one colour, a gradient
    between two, or a checker pattern of two, all colours being random;
  - one to three lights: their places, where they point, how bright, how specular, how sharp the
    reflections; and light from everywhere;
  - noise on the pixels, its kind and amount.
What is where, and the camera, are drawn by `tabletop`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from research.papers.domain_randomization.tabletop import SKY, Scene, View, look

_MAX_LIGHTS = 3
_LIGHT_DRAWS = 9 * (_MAX_LIGHTS + 1)
_NOISES = 3


class Texture(NamedTuple):
    """How a surface is painted.

    Attributes:
      kind: 0 to 2: one colour, a gradient, checkers.
      colours: `[2, 3]`.
      axis: `[3]`, of the gradient.
      scale: patterns in a metre.
      phase: `[3]`.
    """

    kind: jax.Array
    colours: jax.Array
    axis: jax.Array
    scale: jax.Array
    phase: jax.Array


class Lights(NamedTuple):
    """L spotlights, and light from everywhere.

    Attributes:
      place, axis: `[L, 3]`.
      power: `[L]`, 0 for one that is not there.
      specular: `[L]`, how much of it is mirrored.
      shininess: `[L]`, exponent of the reflection.
      ambient: from everywhere.
    """

    place: jax.Array
    axis: jax.Array
    power: jax.Array
    specular: jax.Array
    shininess: jax.Array
    ambient: jax.Array


@dataclasses.dataclass(frozen=True)
class RandomLook:
    """Textures, lights and noise drawn anew for every image.

    Attributes:
      textures: how many different ones each surface has over all images; with 1 it looks the same
        always, but for the light.
      noise: upper end of the amount of noise; 0 for none. Colours are in 0..1.
    """

    textures: int
    noise: float

    def render(self, pool: jax.Array, key: jax.Array, scene: Scene, size: int) -> jax.Array:
        """Image `[size, size, 3]` in 0..1. `pool` is the key of the textures to choose from."""
        few_key, noise_key = jax.random.split(key)
        view, surfaces = look(scene, size), len(scene.bodies.size) + 2
        # One draw for all that is no pixel: each draw adds to the time of compiling.
        drawn = jax.random.uniform(few_key, (surfaces + _LIGHT_DRAWS + 2,))
        which, lights, noise = jnp.split(drawn, (surfaces, surfaces + _LIGHT_DRAWS))
        textures = self.textures_of(pool, which)
        colours = paint(jax.tree.map(lambda x: x[view.surface], textures), view.grain)
        image = shade(colours, view, make_lights(lights), scene.camera.place)
        return self.noisy(noise_key, noise, image.reshape(size, size, 3))

    def textures_of(self, pool: jax.Array, drawn: jax.Array) -> Texture:
        """One for each of S surfaces, of the `textures` that it has; `drawn [S]` in 0..1 says
        which."""
        index = jnp.arange(len(drawn), dtype=jnp.uint32)
        index += (drawn * self.textures).astype(jnp.uint32) * jnp.uint32(len(drawn))

        def texture(index: jax.Array) -> Texture:
            drawn = jax.random.uniform(jax.random.fold_in(pool, index), (14,))
            axis = drawn[1:4] - 0.5
            return Texture(
                (3 * drawn[0]).astype(jnp.int32),
                drawn[4:10].reshape(2, 3),
                axis / jnp.linalg.norm(axis),
                2 ** (1 + 3 * drawn[10]),
                drawn[11:],
            )

        return jax.vmap(texture)(index)

    def noisy(self, key: jax.Array, drawn: jax.Array, image: jax.Array) -> jax.Array:
        """The image with noise of pixels and colours, of pixels, or with pixels lost to any colour.

        Args:
          drawn: `[2]` in 0..1, which noise and how much.
        """
        if not self.noise:
            return image
        kind, amount = jnp.floor(_NOISES * drawn[0]), self.noise * drawn[1]
        normal = jax.random.normal(key, (*image.shape[:2], 4))
        each, lost = normal[..., :3], norm.cdf(normal[..., 3:]) < amount
        lossy = jnp.where(lost, jax.nn.sigmoid(3 * each), image)
        each = jnp.where(kind == 1, normal[..., :1], each)
        return jnp.where(kind == 2, lossy, jnp.clip(image + amount * each, 0, 1))


def paint(texture: Texture, grain: jax.Array) -> jax.Array:
    """Colours `[P, 3]` of points `[P, 3]`, with a texture for each."""
    scaled = grain * texture.scale[:, None]
    slope = jnp.clip(0.25 * (scaled * texture.axis).sum(axis=-1) + texture.phase[:, 0], 0, 1)
    checkers = jnp.floor(scaled + texture.phase).sum(axis=-1) % 2
    share = jnp.stack([jnp.zeros_like(slope), slope, checkers], axis=-1)
    share = jnp.take_along_axis(share, texture.kind[:, None], axis=1)
    return texture.colours[:, 0] * (1 - share) + texture.colours[:, 1] * share


def make_lights(drawn: jax.Array) -> Lights:
    """From `_LIGHT_DRAWS` numbers in 0..1."""
    drawn = drawn.reshape(_MAX_LIGHTS + 1, 9)
    number, ambient = jnp.floor(1 + _MAX_LIGHTS * drawn[-1, 0]), drawn[-1, 1]
    turn, height, away, aim_x, aim_y, aim_z, power, specular, sharp = drawn[:-1].T
    height = math.radians(20) + math.radians(70) * height
    level = jnp.cos(height)
    place = (
        jnp.stack(
            [
                level * jnp.cos(2 * math.pi * turn),
                level * jnp.sin(2 * math.pi * turn),
                jnp.sin(height),
            ],
            axis=1,
        )
        * (0.8 + 1.2 * away)[:, None]
    )
    axis = jnp.stack([aim_x, aim_y, aim_z], axis=1) - 0.5 - place
    power = (0.3 + 0.7 * power) / jnp.sqrt(number)
    return Lights(
        place,
        axis / jnp.linalg.norm(axis, axis=1, keepdims=True),
        jnp.where(jnp.arange(_MAX_LIGHTS) < number, power, 0),
        0.5 * specular,
        2 ** (1 + 5 * sharp),
        0.2 + 0.4 * ambient,
    )


def shade(colours: jax.Array, view: View, lights: Lights, eye: jax.Array) -> jax.Array:
    """Phong's model with spotlights, without shadows: `[P, 3]`. The sky is as it was painted."""
    # Rays come last, [L, 3, P]: short last axes are slow.
    normal, point, eye = view.normal.T, view.point.T, eye[:, None]
    way = _unit(lights.place[..., None] - point)
    spot = lights.power[:, None] * jnp.clip(-_dot(way, lights.axis[..., None]), 0, 1) ** 2
    facing = _dot(way, normal)
    diffuse = (jnp.clip(facing, 0) * spot).sum(axis=0)
    mirrored = 2 * facing[:, None] * normal - way
    glance = jnp.clip(_dot(mirrored, _unit(eye - point)), 1e-6)
    glance **= lights.shininess[:, None]
    specular = (jnp.where(facing > 0, glance, 0) * spot * lights.specular[:, None]).sum(axis=0)
    lit = colours * (lights.ambient + diffuse)[:, None] + specular[:, None]
    return jnp.clip(jnp.where((view.surface == SKY)[:, None], colours, lit), 0, 1)


def _dot(v: jax.Array, w: jax.Array) -> jax.Array:
    """Inner products of vectors that lie along the axis before the last."""
    (a, b, c), (d, e, f) = (jnp.moveaxis(x, -2, 0) for x in (v, w))
    return a * d + b * e + c * f


def _unit(v: jax.Array) -> jax.Array:
    return v / jnp.sqrt(_dot(v, v))[..., None, :]
