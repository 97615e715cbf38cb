"""A look that no detector is trained on: the stand-in for photographs in domain randomisation.

It has nothing in common with `random_look` but the scenes. Surfaces are wood, marble,
granite and bricks, in colours of such materials and of paint; the sun casts shadows, the sky lights
what faces it and the ground what faces down; light wraps around edges, which are drawn dark; four
rays make a pixel; the picture has a camera's tone curve, darker corners and grain. Nothing of this
may be used in training, or for choosing how to train.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from research.papers.domain_randomization.polyhedra import cast
from research.papers.domain_randomization.tabletop import BOARD, GROUND, SKY, Scene, View, look

_PAINT = (  # of the things on the table
    (0.72, 0.20, 0.16),
    (0.16, 0.32, 0.62),
    (0.20, 0.48, 0.26),
    (0.90, 0.72, 0.20),
    (0.88, 0.86, 0.80),
    (0.25, 0.24, 0.26),
    (0.55, 0.36, 0.62),
    (0.86, 0.48, 0.22),
)
_BOARDS = (  # of table and floor
    (0.62, 0.44, 0.27),
    (0.42, 0.27, 0.17),
    (0.78, 0.64, 0.46),
    (0.70, 0.70, 0.68),
    (0.45, 0.47, 0.50),
    (0.82, 0.80, 0.75),
)
_MATERIALS = 4
_OCTAVES = 3
_GRAIN = 0.02


def render(key: jax.Array, scene: Scene, size: int) -> jax.Array:
    """Image `[size, size, 3]` in 0..1."""
    paint_key, sun_key, grain_key = jax.random.split(key, 3)
    view = look(scene, 2 * size)
    colours = _materials(paint_key, view, scene.bodies.size.shape[0] + 2)
    lit = _daylight(sun_key, colours, view, scene)
    lit = lit * jnp.where(_edges(view.surface.reshape(2 * size, -1)), 0.35, 1.0).reshape(-1, 1)
    image = lit.reshape(size, 2, size, 2, 3).mean(axis=(1, 3))
    across = jnp.linspace(-1, 1, size)
    image *= (1 - 0.18 * (across[:, None] ** 2 + across**2))[..., None]
    image = jnp.clip(image * (1.25 + 0.15 * image) / (image + 0.45), 0, 1)  # filmic
    grain = jax.random.normal(grain_key, image.shape)
    return jnp.clip(image + _GRAIN * jnp.sqrt(image) * grain, 0, 1)


def _materials(key: jax.Array, view: View, surfaces: int) -> jax.Array:
    """Colours `[P, 3]`: each surface is of one material in two shades."""
    drawn = jax.random.uniform(key, (surfaces, 7))
    kind = (_MATERIALS * drawn[:, 0]).astype(jnp.int32)
    paint = jnp.array(_PAINT)[(len(_PAINT) * drawn[:, 1]).astype(jnp.int32)]
    board = jnp.array(_BOARDS)[(len(_BOARDS) * drawn[:, 2]).astype(jnp.int32)]
    index = jnp.arange(surfaces)
    base = jnp.where((index <= BOARD)[:, None], board, paint)
    base *= 0.75 + 0.5 * drawn[:, 3:4]
    shift = 20 * drawn[:, 4:]
    points = view.grain + shift[view.surface]
    patterns = jnp.stack([_wood(points), _marble(points), _granite(points), _bricks(points)])
    share = jnp.take_along_axis(patterns, kind[view.surface][None], axis=0)[0]
    colours = base[view.surface] * (1 - 0.55 * share[:, None])
    wall = 0.62 + 0.25 * view.rays[:, 2:] + 0.1 * _smooth(4 * view.rays)[:, None]
    return jnp.where((view.surface == SKY)[:, None], wall * jnp.array([1.0, 0.97, 0.92]), colours)


def _wood(points: jax.Array) -> jax.Array:
    """0 to 1 `[P]`: rings around an axis that is nearly level."""
    x, y, z = points.T
    rings = jnp.hypot(y + 0.02 * _smooth(6 * points), 1.5 * z + 0.1 * x)
    return (30 * rings + 0.6 * _smooth(12 * points)) % 1


def _marble(points: jax.Array) -> jax.Array:
    veins = 14 * points @ jnp.array([0.6, 0.5, 0.62]) + 5 * _turbulence(6 * points)
    return (0.5 + 0.5 * jnp.sin(veins)) ** 3


def _granite(points: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(12 * (_turbulence(45 * points) - 0.1))


def _bricks(points: jax.Array) -> jax.Array:
    """1 in the gaps; each row begins half a brick later."""
    x, y, z = points.T
    row = jnp.floor((y + z) / 0.04)
    along = (x / 0.09 + 0.5 * (row % 2)) % 1
    gap = ((((y + z) / 0.04) % 1) < 0.15) | (along < 0.07)
    return jnp.where(gap, 1.0, 0.25 * (jnp.sin(37 * row) + 1) / 2)


def _turbulence(points: jax.Array) -> jax.Array:
    """Finer and finer, weaker and weaker. `[P]`."""
    scale = 2.0 ** jnp.arange(_OCTAVES)[:, None]
    return (_smooth(scale[..., None] * points) / scale).sum(axis=0)


def _smooth(points: jax.Array) -> jax.Array:
    """Value noise: random numbers in -1..1 at whole places, blended in between. `[...]` at
    `[..., 3]`."""
    cell = jnp.floor(points)
    part = points - cell
    part = part * part * (3 - 2 * part)
    corners = jnp.indices((2, 2, 2)).reshape(3, 8).T  # [8, 3]
    weights = jnp.where(corners == 1, part[..., None, :], 1 - part[..., None, :]).prod(axis=-1)
    return (weights * _hashed(cell[..., None, :].astype(jnp.int32) + corners)).sum(axis=-1)


def _hashed(cell: jax.Array) -> jax.Array:
    """Whole places `[..., 3]` int32 to numbers in -1..1."""
    x, y, z = jnp.moveaxis(cell.astype(jnp.uint32), -1, 0)
    bits = x * jnp.uint32(0x8DA6B343) ^ y * jnp.uint32(0xD8163841) ^ z * jnp.uint32(0xCB1AB31F)
    bits = (bits ^ bits >> 15) * jnp.uint32(0x2C1B3C6D)
    bits = (bits ^ bits >> 12) * jnp.uint32(0x297A2D39)
    bits ^= bits >> 15
    return (bits >> 8).astype(jnp.float32) / 2**23 - 1


def _daylight(key: jax.Array, colours: jax.Array, view: View, scene: Scene) -> jax.Array:
    """Sun with shadows, sky and ground; what is seen at a flat angle shines."""
    turn, height, power = jax.random.uniform(key, (3,))
    around, power = 2 * math.pi * turn, 0.5 + 0.5 * power
    height = math.radians(35) + math.radians(40) * height
    sun = jnp.stack(
        [jnp.cos(height) * jnp.cos(around), jnp.cos(height) * jnp.sin(around), jnp.sin(height)]
    )
    facing = (view.normal @ sun + 0.25) / 1.25  # wrapped
    start = view.point + 2e-3 * view.normal
    shadow = cast(start, jnp.broadcast_to(sun, start.shape), scene.bodies).body >= 0
    direct = power * jnp.where(shadow, 0.15, 1.0) * jnp.clip(facing, 0, 1)
    up = (1 + view.normal[:, 2:]) / 2
    around_light = up * jnp.array([0.36, 0.40, 0.48]) + (1 - up) * jnp.array([0.22, 0.17, 0.13])
    rim = (1 - jnp.clip(-(view.normal * view.rays).sum(axis=-1), 0, 1)) ** 4
    lit = colours * (around_light + direct[:, None] * jnp.array([1.0, 0.94, 0.82]))
    lit += 0.25 * (rim * (view.surface > GROUND))[:, None]
    return jnp.where((view.surface == SKY)[:, None], colours, lit)


def _edges(surface: jax.Array) -> jax.Array:
    """`[H, W]` bool: where the next pixel to the right or below belongs to something else."""
    below = jnp.concatenate([surface[1:], surface[-1:]])
    beside = jnp.concatenate([surface[:, 1:], surface[:, -1:]], axis=1)
    return (surface != below) | (surface != beside)
