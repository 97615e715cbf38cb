"""Distributions of points in the plane, whose density and modes are known exactly.

Source: Gulrajani et al. 2017, arXiv:1704.00028, section 4 and its released code: scaled so that a
coordinate has a deviation of about one. All are drawn inside a jitted step.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import check_choice


@dataclasses.dataclass(frozen=True)
class Planar:
    """A distribution in the plane.

    Attributes:
      sample: `(key, num)` to points `[num, 2]`.
      modes: centres `[M, 2]` of its Gaussians; None where it is not a mixture of them.
      deviation: of each Gaussian.
    """

    sample: Callable[[jax.Array, int], jax.Array]
    modes: np.ndarray | None = None
    deviation: float = 0.0


def _mixture(modes: np.ndarray, deviation: float) -> Planar:
    def sample(key: jax.Array, num: int) -> jax.Array:
        which, where = jax.random.split(key)
        centres = jax.random.choice(which, jnp.asarray(modes, jnp.float32), (num,))
        return centres + deviation * jax.random.normal(where, (num, 2))

    return Planar(sample, modes, deviation)


def _eight_gaussians() -> Planar:
    """Eight on a circle of radius 2, of deviation 0.02, over the square root of 2."""
    angles = 2 * math.pi * np.arange(8) / 8
    scale = math.sqrt(2)
    return _mixture(2 * np.stack([np.cos(angles), np.sin(angles)], 1) / scale, 0.02 / scale)


def _twenty_five_gaussians() -> Planar:
    """A square grid of five by five, 2 apart, of deviation 0.05, over the square root of 8."""
    sides = 2.0 * np.arange(-2, 3)
    scale = math.sqrt(8)
    return _mixture(np.stack(np.meshgrid(sides, sides), -1).reshape(-1, 2) / scale, 0.05 / scale)


def _swiss_roll() -> Planar:
    """A spiral of one and a half turns with noise of deviation 0.25, over 7.5."""

    def sample(key: jax.Array, num: int) -> jax.Array:
        along, noise = jax.random.split(key)
        t = 1.5 * math.pi * (1 + 2 * jax.random.uniform(along, (num,)))
        points = jnp.stack([t * jnp.cos(t), t * jnp.sin(t)], 1)
        return (points + 0.25 * jax.random.normal(noise, (num, 2))) / 7.5

    return Planar(sample)


_MAKE = {
    "8_gaussians": _eight_gaussians,
    "25_gaussians": _twenty_five_gaussians,
    "swiss_roll": _swiss_roll,
}
NAMES = tuple(_MAKE)


def make(name: str) -> Planar:
    """The distribution of this name, one of `NAMES`.

    Raises:
      UserError: there is none.
    """
    check_choice("data.name", name, NAMES)
    return _MAKE[name]()
