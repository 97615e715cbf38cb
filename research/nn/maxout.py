"""Units that are the largest of several linear ones (Goodfellow et al. 2013, arXiv:1302.4389)."""

from __future__ import annotations

import jax
from flax import linen as nn
from flax.typing import Initializer

from research.nn.conv import Conv, Padding


def largest_piece(x: jax.Array, pieces: int) -> jax.Array:
    """The largest of every `pieces` neighbours: `[..., F * pieces]` to `[..., F]`."""
    return x.reshape(*x.shape[:-1], -1, pieces).max(-1)


class Maxout(nn.Module):
    """A dense layer of maxout units, `[B, D]` to `[B, features]`.

    Attributes:
      features: units.
      pieces: linear pieces of a unit.
      kernel_init: of all pieces.
    """

    features: int
    pieces: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        dense = nn.Dense(self.features * self.pieces, kernel_init=self.kernel_init, name="pieces")
        return largest_piece(dense(x), self.pieces)


class MaxoutConv(nn.Module):
    """A convolution of maxout units, `[B, H, W, C]` to `[B, H', W', features]`.

    Attributes:
      features, pieces, kernel_init: as of `Maxout`.
      kernel: side of the convolution.
      padding: on every side.
    """

    features: int
    pieces: int
    kernel: int
    padding: Padding
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        conv = Conv(
            self.features * self.pieces,
            self.kernel,
            padding=self.padding,
            kernel_init=self.kernel_init,
            name="pieces",
        )
        return largest_piece(conv(x), self.pieces)
