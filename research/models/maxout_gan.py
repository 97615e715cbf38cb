"""The first generative adversarial nets: rectifiers in G, maxout and dropout in D.

Source: Goodfellow et al. 2014, arXiv:1406.2661, section 5, and its released configurations.

    Generator, Discriminator            MNIST: 2,503,984 and 1,231,441 parameters
    ConvGenerator, ConvDiscriminator    CIFAR-10
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Initializer

from research.nn.conv import ConvTranspose
from research.nn.maxout import Maxout, MaxoutConv


def uniform(scale: float) -> Initializer:
    """Weights uniform on [-scale, scale]."""

    def init(key: jax.Array, shape, dtype=jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -scale, scale)

    return init


def uniform_latents(key: jax.Array, num: int, size: int) -> jax.Array:
    """z `[num, size]`, uniform with a variance of one."""
    return jax.random.uniform(key, (num, size), minval=-math.sqrt(3), maxval=math.sqrt(3))


class Generator(nn.Module):
    """z to pixels in 0 to 1, through two layers of rectifiers.

    Attributes:
      num_pixels: of an output.
      width: units of a hidden layer.
    """

    num_pixels: int = 784
    width: int = 1200

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Pixels `[B, num_pixels]` of latents `[B, Z]`, and no maps."""
        del train  # no layer differs: dropout is D's alone
        weights = uniform(0.05)
        x = nn.relu(nn.Dense(self.width, kernel_init=weights, name="dense1")(z))
        x = nn.relu(nn.Dense(self.width, kernel_init=weights, name="dense2")(x))
        x = nn.Dense(self.num_pixels, kernel_init=weights, name="pixels")(x)
        return nn.sigmoid(x), {}


class Discriminator(nn.Module):
    """Pixels to a logit, through two layers of maxout with dropout before each layer.

    Attributes:
      width: maxout units of a hidden layer.
      pieces: of each unit.
    """

    width: int = 240
    pieces: int = 5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits `[B]` of pixels `[B, N]`, and no maps; `train` drops units."""
        weights = uniform(0.005)
        x = nn.Dropout(0.2, deterministic=not train)(x)
        x = Maxout(self.width, self.pieces, weights, name="maxout1")(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        x = Maxout(self.width, self.pieces, weights, name="maxout2")(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(1, kernel_init=weights, name="logit")(x)[:, 0], {}


class ConvGenerator(nn.Module):
    """z to 32 x 32 pixels of data with contrast normalised, by one transposed convolution.

    Attributes:
      width: units of the first layer.
    """

    width: int = 8000

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Pixels `[B, 3072]`, of any size, of latents `[B, Z]`, and no maps."""
        del train
        weights = uniform(0.05)
        x = nn.relu(nn.Dense(self.width, kernel_init=weights, name="dense1")(z))
        x = nn.sigmoid(nn.Dense(8000, kernel_init=weights, name="dense2")(x))
        x = x.reshape(-1, 10, 10, 80)
        # Stride 3 and kernel 5: 10 pixels become (10 - 1) * 3 + 5 = 32.
        x = ConvTranspose(3, 5, 3, padding="VALID", kernel_init=weights, name="pixels")(x)
        return x.reshape(len(x), -1), {}


class ConvDiscriminator(nn.Module):
    """Pixels to a logit: three convolutions of two-piece maxout, a dense layer of five pieces.

    Attributes:
      width: divides by 32; maxout units are in the proportions 32, 32, 192, 500.
    """

    width: int = 32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits `[B]` of pixels `[B, 3072]`, and no maps; `train` drops units."""
        weights = uniform(0.005)
        x = x.reshape(-1, 32, 32, 3)
        layers = ((self.width, 8, 4, 4), (self.width, 8, 3, 4), (6 * self.width, 5, 3, 2))
        for i, (features, kernel, padding, window) in enumerate(layers, 1):
            x = nn.Dropout(0.2 if i == 1 else 0.5, deterministic=not train)(x)
            x = MaxoutConv(features, 2, kernel, padding, weights, name=f"maxout{i}")(x)
            # A last window that is not full counts, as in the released code.
            rest = -(x.shape[1] - window) % 2
            x = jnp.pad(x, ((0, 0), (0, rest), (0, rest), (0, 0)), constant_values=-jnp.inf)
            x = nn.max_pool(x, (window, window), (2, 2))
        x = nn.Dropout(0.5, deterministic=not train)(x.reshape(len(x), -1))
        x = Maxout(self.width * 500 // 32, 5, weights, name="maxout4")(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(1, kernel_init=weights, name="logit")(x)[:, 0], {}
