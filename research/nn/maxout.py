"""Maxout (Goodfellow, Warde-Farley, Mirza, Courville, Bengio, 2013, arXiv:1302.4389)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Dtype, Initializer

from research.nn.conv import Conv


class Maxout(nn.Module):
    """A dense layer whose units are each the largest of several affine maps of the input.

    h_i(x) = max_j x^T W_ij + b_ij, section 3. The kernel `[inputs, units * pieces]` holds the
    pieces of a unit side by side, so that its columns are what a limit on incoming weights is on.

    Attributes:
      units: i.
      pieces: j, affine maps of each unit.
      kernel_init, bias_init: of all pieces.
      dtype: of the computation.
    """

    units: int
    pieces: int
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros_init()
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[..., inputs]` to `[..., units]`."""
        pieces = nn.Dense(
            self.units * self.pieces,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            dtype=self.dtype,
            name="pieces",
        )(x)
        return pieces.reshape(*x.shape[:-1], self.units, self.pieces).max(-1)


class MaxoutConv(nn.Module):
    """A convolution whose channels are each the largest of several maps, section 2 and 5.2.

    As in `Maxout`, the pieces of a channel lie side by side in the kernel
    `[h, w, inputs, channels * pieces]`.

    Attributes:
      channels: of the output.
      pieces: maps of each channel.
      kernel_size: side of the kernel.
      padding: zeros on every side.
      kernel_init: of all pieces.
      dtype: of the computation.
    """

    channels: int
    pieces: int
    kernel_size: int
    padding: int = 0
    kernel_init: Initializer = initializers.lecun_normal()
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, inputs]` to `[B, H', W', channels]`."""
        pieces = Conv(
            self.channels * self.pieces,
            self.kernel_size,
            padding=self.padding,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="pieces",
        )(x)
        return pieces.reshape(*pieces.shape[:-1], self.channels, self.pieces).max(-1)


class ScaledDropout(nn.Module):
    """Dropout whose factor of what is kept is a choice of its own; evaluated, it does nothing.

    The usual factor is 1 / (1 - rate). The released maxout networks keep inputs as they are,
    factor 1, so that the first layer sees larger sums in evaluation than in training.

    Attributes:
      rate: chance that an entry is zero.
      scale: factor of the others; None for 1 / (1 - rate).
    """

    rate: float
    scale: float | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns x `[...]`, in training with entries dropped; keys are "dropout"'s."""
        if not train or self.rate == 0.0:
            return x
        keep = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, x.shape)
        scale = 1 / (1 - self.rate) if self.scale is None else self.scale
        return jnp.where(keep, scale * x, 0.0)
