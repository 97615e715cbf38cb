"""A table with one object of interest among others, as a camera sees it: the scenes of Tobin et al.
(2017, arXiv:1703.06907), without what they look like.

Lengths are in metres. The table's top is the square |x|, |y| <= `TABLE` at z = 0; the floor lies
`FLOOR` below. Nothing else is fixed: where the object is, which and where the others are (they hide
it in part at times), and where the camera is. Other bodies are of another shape than the object;
one that would stand in something placed before it is left out. Departures: no robot is seen.

Looks, which give such a scene its colours, are in `random_look` and `unseen_look`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from research.papers.domain_randomization.polyhedra import SHAPES, Bodies, Hits, box, cast

TABLE = 0.3
FLOOR = 0.7
REACH = 0.22  # the object's |x| and |y| are no more than this
_BOARD = 0.02  # thickness of the table's top
_CAMERA = (0.0, -0.75, 0.65)
_CAMERA_BOX = (0.10, 0.05, 0.10)
_CAMERA_TURN = 0.1
_FIELD_OF_VIEW = math.radians(46)
_FIELD_SCALE = 0.05

# Surfaces by number; others follow.
SKY, GROUND, BOARD, OBJECT = range(4)


class Camera(NamedTuple):
    """Where a picture is taken from.

    Attributes:
      place: `[3]`.
      axes: `[3, 3]`, rows: to the right, up, and where it looks.
      tangent: of half the field of view.
    """

    place: jax.Array
    axes: jax.Array
    tangent: jax.Array


class Scene(NamedTuple):
    """What is where.

    Attributes:
      bodies: the table's top, the object, then others.
      camera: that sees them.
      position: `[3]`, of the object's middle: the label.
    """

    bodies: Bodies
    camera: Camera
    position: jax.Array


class View(NamedTuple):
    """What P rays see.

    Attributes:
      surface: `[P]` int32.
      normal: `[P, 3]`.
      point: `[P, 3]`, in the world.
      grain: `[P, 3]`, the same in metres of the body's own frame, for textures.
      rays: `[P, 3]`, of length 1.
    """

    surface: jax.Array
    normal: jax.Array
    point: jax.Array
    grain: jax.Array
    rays: jax.Array


@dataclasses.dataclass(frozen=True)
class Tabletop:
    """A distribution of scenes.

    Attributes:
      shape: of the object of interest, one of `polyhedra.SHAPES`.
      radius: of the circle around its base.
      distractors: largest number of others on the table; each from 0 up is as likely.
      distractor_radius: smallest and largest.
      camera: whether the camera is anywhere in a box of 10 x 5 x 10 cm, turned by up to 0.1 rad
        about each of two axes, its field of view scaled by up to 5 % (section III-A); else it
        stands in the middle of all that.
    """

    shape: str
    radius: float
    distractors: int
    distractor_radius: tuple[float, float]
    camera: bool

    def sample(self, key: jax.Array) -> Scene:
        # All that is drawn, in 0..1: the camera's row, then one for each body.
        drawn = jax.random.uniform(key, (2 + self.distractors, 6))
        bodies = self._bodies(drawn[1:])
        middle = SHAPES[self.shape][1] / 2 * self.radius
        position = bodies.place[1] + jnp.array([0, 0, middle])
        return Scene(bodies, self._camera(2 * drawn[0] - 1), position)

    def _bodies(self, drawn: jax.Array) -> Bodies:
        others = [planes for name, (planes, _) in SHAPES.items() if name != self.shape]
        count = self.distractors
        which, share, x, y, turn, number = drawn.T
        board = box(2 * TABLE, 2 * TABLE, _BOARD)
        planes = jnp.stack([board, SHAPES[self.shape][0]])
        chosen = jnp.array(others)[(which[1:] * len(others)).astype(jnp.int32)]
        planes = jnp.concatenate([planes, chosen])
        low, high = self.distractor_radius
        radius = (low + (high - low) * share).at[0].set(self.radius)
        edge = jnp.full(1 + count, TABLE - high).at[0].set(REACH)
        flat = (2 * jnp.stack([x, y], axis=1) - 1) * edge[:, None]
        place = jnp.pad(flat, ((0, 0), (0, 1)))
        angle = 2 * math.pi * turn
        index = jnp.arange(1 + count)
        apart = jnp.linalg.norm(flat[:, None] - flat, axis=-1) > radius[:, None] + radius
        free = (apart | (index[:, None] <= index)).all(axis=1)
        present = free & (index <= jnp.floor(number[0] * (count + 1)))
        return Bodies(
            planes,
            jnp.concatenate([jnp.array([[0.0, 0.0, -_BOARD]]), place]),
            jnp.concatenate([jnp.zeros(1), angle]),
            jnp.concatenate([jnp.ones(1), radius]),
            jnp.concatenate([jnp.ones(1, bool), present]),
        )

    def _camera(self, drawn: jax.Array) -> Camera:
        """From six numbers in -1..1."""
        move, turn, zoom = jnp.split(drawn if self.camera else jnp.zeros(6), (3, 5))
        place = jnp.array(_CAMERA) + move * jnp.array(_CAMERA_BOX) / 2
        towards = -place / jnp.linalg.norm(place)  # the middle of the table
        right = jnp.cross(towards, jnp.array([0.0, 0.0, 1.0]))
        right /= jnp.linalg.norm(right)
        axes = jnp.stack([right, jnp.cross(right, towards), towards])
        (a, b), zero, one = _CAMERA_TURN * turn, jnp.zeros(()), jnp.ones(())
        pan = jnp.array(
            [[jnp.cos(a), zero, jnp.sin(a)], [zero, one, zero], [-jnp.sin(a), zero, jnp.cos(a)]]
        )
        tilt = jnp.array(
            [[one, zero, zero], [zero, jnp.cos(b), jnp.sin(b)], [zero, -jnp.sin(b), jnp.cos(b)]]
        )
        field = _FIELD_OF_VIEW * (1 + _FIELD_SCALE * zoom[0])
        return Camera(place, pan @ tilt @ axes, jnp.tan(field / 2))


def pixel_rays(camera: Camera, size: int) -> jax.Array:
    """`[size * size, 3]` of length 1, through the middles of pixels, row by row from the top."""
    across = (2 * jnp.arange(size) + 1) / size - 1
    up, right = jnp.meshgrid(-across, across, indexing="ij")
    plane = jnp.stack([right * camera.tangent, up * camera.tangent, jnp.ones_like(up)], axis=-1)
    rays = plane.reshape(-1, 3) @ camera.axes
    return rays / jnp.linalg.norm(rays, axis=-1, keepdims=True)


def project(camera: Camera, points: jax.Array, size: int) -> jax.Array:
    """Points `[..., 3]` to (row, column) `[..., 2]` in pixels, the first pixel's middle being 0."""
    right, up, depth = jnp.moveaxis((points - camera.place) @ camera.axes.T, -1, 0)
    place = jnp.stack([-up, right], axis=-1) / (depth * camera.tangent)[..., None]
    return (place + 1) * size / 2 - 0.5


def look(scene: Scene, size: int) -> View:
    """What `size` x `size` pixels see."""
    camera, rays = scene.camera, pixel_rays(scene.camera, size)
    hits: Hits = cast(camera.place, rays, scene.bodies)
    down = rays[:, 2] < -1e-3
    to_floor = (camera.place[2] + FLOOR) / jnp.where(down, -rays[:, 2], 1)
    body = jnp.maximum(hits.body, 0)
    point = camera.place + rays * jnp.where(hits.body < 0, to_floor, hits.distance)[:, None]
    surface = jnp.where(hits.body < 0, jnp.where(down, GROUND, SKY), hits.body + BOARD)
    own = scene.bodies.local(point, body) * scene.bodies.size[body][:, None]
    grain = jnp.where((hits.body < 0)[:, None], jnp.where(down[:, None], point, rays), own)
    upward = jnp.array([0.0, 0.0, 1.0])
    normal = jnp.where(
        (hits.body < 0)[:, None], jnp.where(down[:, None], upward, -rays), hits.normal
    )
    return View(surface.astype(jnp.int32), normal, point, grain, rays)
