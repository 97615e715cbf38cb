"""Residual networks of 1-D convolutions on lines of characters (section 5.4, appendix F)."""

from __future__ import annotations

import jax
from flax import linen as nn

from research.nn.conv import Conv

_he = nn.initializers.he_uniform()
_glorot = nn.initializers.glorot_uniform()


def convolve(x: jax.Array, features: int, kernel: int, init, name: str) -> jax.Array:
    """A 1-D convolution of x `[B, T, C]`."""
    layer = Conv(features, (1, kernel), kernel_init=init, name=name)
    return layer(x[:, None])[:, 0]


class Block(nn.Module):
    """x + 0.3 (ReLU, 5, ReLU, 5): `[B, T, width]`."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = convolve(nn.relu(x), self.width, 5, _he, "conv1")
        return x + 0.3 * convolve(nn.relu(y), self.width, 5, _he, "conv2")


class Generator(nn.Module):
    """z to a line: probabilities of characters.

    Attributes:
      length: T.
      num_characters: V.
      width: channels.
      depth: residual blocks.
    """

    length: int
    num_characters: int
    width: int = 512
    depth: int = 5

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Probabilities `[B, T, V]` of latents z `[B, Z]`, and no maps."""
        del train  # no layer differs
        x = nn.Dense(self.length * self.width, kernel_init=_glorot, name="project")(z)
        x = x.reshape(-1, self.length, self.width)
        for i in range(1, self.depth + 1):
            x = Block(self.width, name=f"block{i}")(x)
        return nn.softmax(convolve(x, self.num_characters, 1, _glorot, "characters")), {}


class Critic(nn.Module):
    """A line, one-hot or probabilities, to a score; attributes as of `Generator`."""

    width: int = 512
    depth: int = 5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scores `[B]` of lines x `[B, T, V]`, and no maps."""
        del train
        x = convolve(x, self.width, 1, _glorot, "characters")
        for i in range(1, self.depth + 1):
            x = Block(self.width, name=f"block{i}")(x)
        return nn.Dense(1, kernel_init=_glorot, name="score")(x.reshape(len(x), -1))[:, 0], {}
