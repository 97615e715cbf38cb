"""Ray casting of convex polyhedra in plain array operations (jittable, for any accelerator).

A body is an intersection of half-spaces `n . q <= d` in a frame of its own, in which it stands on
z = 0 within the circle of radius 1. A ray is inside of it from the last plane that it enters
through to the first that it leaves through (Kay and Kajiya, 1986).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

MAX_PLANES = 14
_FAR = 1e6
_LEVEL = 1e-9  # slope of a ray that is parallel to a plane
_SIDES = 12  # of what is round


class Bodies(NamedTuple):
    """B bodies in the world.

    Attributes:
      planes: `[B, K, 4]`, (n, d) of each half-space, n of length 1; n = 0 with d > 0: all of space.
      place: `[B, 3]`, where the frame's origin is.
      angle: `[B]`, by which it is turned about the vertical, in radians.
      size: `[B]`, the world's length of the frame's 1.
      present: `[B]` bool.
    """

    planes: jax.Array
    place: jax.Array
    angle: jax.Array
    size: jax.Array
    present: jax.Array

    def local(self, points: jax.Array, body: jax.Array) -> jax.Array:
        """Points `[..., 3]` of the world in the frames of bodies `[...]`."""
        place, angle, size = self.place[body], self.angle[body], self.size[body]
        return _turned(points - place, -angle) / size[..., None]


class Hits(NamedTuple):
    """What P rays meet first.

    Attributes:
      distance: `[P]`, in lengths of the ray's direction; large if nothing is met.
      body: `[P]` int32, -1 if none.
      normal: `[P, 3]`, outwards.
    """

    distance: jax.Array
    body: jax.Array
    normal: jax.Array


def cast(origins: jax.Array, rays: jax.Array, bodies: Bodies) -> Hits:
    """Rays `[P, 3]` from `origins`, `[3]` or `[P, 3]`, in any lengths."""
    normals = _turned(bodies.planes[..., :3], bodies.angle[:, None])  # in the world
    offsets = bodies.planes[..., 3] * bodies.size[:, None]
    offsets += (normals * bodies.place[:, None]).sum(axis=-1)
    (right, far, up), origin = rays.T, jnp.atleast_2d(origins).T

    def nearer(first: Any, body: Any) -> Any:
        index, normals, offsets, present = body
        zero = jnp.zeros_like(right)
        enter, leave, face = zero - _FAR, zero + _FAR, [zero] * 3
        # Plane by plane: all of it is one loop over the rays then, and no sums along short axes.
        for n, offset in zip(normals, offsets, strict=True):
            slope = n[0] * right + n[1] * far + n[2] * up
            slope = jnp.where(slope == 0, _LEVEL, slope)
            at = (offset - (n[0] * origin[0] + n[1] * origin[1] + n[2] * origin[2])) / slope
            last = (slope < 0) & (at > enter)
            enter = jnp.where(last, at, enter)
            face = [jnp.where(last, n[i], face[i]) for i in range(3)]
            leave = jnp.where(slope < 0, leave, jnp.minimum(leave, at))
        distance, found, normal = first
        hit = (enter < leave) & (enter > 0) & (enter < distance) & present
        normal = [jnp.where(hit, new, old) for new, old in zip(face, normal, strict=True)]
        return (jnp.where(hit, enter, distance), jnp.where(hit, index, found), normal), None

    count = len(rays)
    nothing = jnp.full(count, _FAR), jnp.full(count, -1), [jnp.zeros(count)] * 3
    every = jnp.arange(len(offsets)), normals, offsets, bodies.present
    (distance, body, normal), _ = jax.lax.scan(nearer, nothing, every)
    return Hits(distance, body, jnp.stack(normal, axis=1))


def _turned(points: jax.Array, angle: jax.Array) -> jax.Array:
    """`[..., 3]`, about the vertical by `[...]`."""
    x, y, z = jnp.moveaxis(points, -1, 0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)


def prism(sides: int, height: float) -> np.ndarray:
    """`[K, 4]`; its base is regular, with corners at radius 1."""
    inner = math.cos(math.pi / sides)
    walls = [(math.cos(a), math.sin(a), 0.0, inner) for a in _facing(sides)]
    return _padded([*walls, (0.0, 0.0, 1.0, height), (0.0, 0.0, -1.0, 0.0)])


def pyramid(sides: int, height: float) -> np.ndarray:
    """A pyramid over the base that `prism` has, its tip at `height`."""
    inner = math.cos(math.pi / sides)
    slant = math.hypot(height, inner)
    walls = [
        (
            height * math.cos(a) / slant,
            height * math.sin(a) / slant,
            inner / slant,
            height * inner / slant,
        )
        for a in _facing(sides)
    ]
    return _padded([*walls, (0.0, 0.0, -1.0, 0.0)])


def box(length: float, width: float, height: float) -> np.ndarray:
    """`[K, 4]`, of half that length and width to each side."""
    walls = [
        (1.0, 0.0, 0.0, length / 2),
        (-1.0, 0.0, 0.0, length / 2),
        (0.0, 1.0, 0.0, width / 2),
        (0.0, -1.0, 0.0, width / 2),
    ]
    return _padded([*walls, (0.0, 0.0, 1.0, height), (0.0, 0.0, -1.0, 0.0)])


def _facing(sides: int) -> list[float]:
    return [2 * math.pi * (i + 0.5) / sides for i in range(sides)]


def _padded(planes: list[tuple[float, float, float, float]]) -> np.ndarray:
    planes = planes + [(0.0, 0.0, 0.0, 1.0)] * (MAX_PLANES - len(planes))
    return np.array(planes, np.float32)


# Name to planes and height: the eight geometric objects of Tobin et al. (2017, section IV).
SHAPES: dict[str, tuple[np.ndarray, float]] = {
    "cone": (pyramid(_SIDES, 1.8), 1.8),
    "cube": (prism(4, math.sqrt(2)), math.sqrt(2)),
    "cylinder": (prism(_SIDES, 1.5), 1.5),
    "hexagonal_prism": (prism(6, 1.2), 1.2),
    "pyramid": (pyramid(4, 1.4), 1.4),
    "rectangular_prism": (box(1.8, 0.8, 0.8), 0.8),
    "tetrahedron": (pyramid(3, math.sqrt(2)), math.sqrt(2)),
    "triangular_prism": (prism(3, 1.2), 1.2),
}
