"""The DCGAN pair: a generator and a discriminator of strided convolutions and batch norm.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 3 and figure 1. Architecture rules:
strided and fractionally-strided convolutions instead of pooling, batch norm everywhere but on G's
output and D's input, no hidden dense layers, ReLU in G with a tanh output, leaky ReLU in D.

    paper, and the released Theano model    width 128, kernel 5, 64 px
    torch variant                           width 64, kernel 4, 64 px

With `width` nf and 64 px, G is z -> dense -> 4x4x8nf -> 4nf@8 -> 2nf@16 -> nf@32 -> image@64, and D
mirrors it: nf@32 -> ... -> 8nf@4 -> one logit from the flattened 4x4 map. Other sizes drop or
add levels.

Batch norm: with `train=True` a batch is normalised by its own statistics (and "batch_stats" holds
running ones); `train=False` uses the running ones. The released code samples with the statistics
of the batch of samples. The running ones make an image depend on its own z alone, so latent
arithmetic and walks, whose batches are all but copies of one z, need them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from research.core.errors import UserError, check_choice
from research.nn.conv import Conv, ConvTranspose

NORMS = ("batch", "layer", "none")

_BASE = 4  # side of the smallest map
_weights = nn.initializers.normal(0.02)


def _scale_init(
    key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
) -> jax.Array:
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


def _batch_norm(name: str, train: bool, dtype: DTypeLike | None) -> nn.BatchNorm:
    # Momentum 0.9: the networks change fast, so statistics older than tens of steps are wrong.
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=dtype,
        scale_init=_scale_init,
        name=name,
    )


def _layer_norm(name: str, dtype: DTypeLike | None) -> nn.LayerNorm:
    """Normalises each image over all places and channels, with a scale for each channel."""
    return nn.LayerNorm(
        epsilon=1e-5, dtype=dtype, reduction_axes=(1, 2, 3), feature_axes=-1, name=name
    )


def num_levels(image_size: int) -> int:
    """How many stride-2 layers lead from 4x4 to `image_size`.

    Raises:
      UserError: `image_size` is not 8, 16, 32, 64, ...
    """
    levels = math.log2(image_size / _BASE)
    if levels < 1 or levels != int(levels):
        raise UserError(
            f"data.image_size {image_size} is not 8, 16, 32, 64 or a larger power of two"
        )
    return int(levels)


def leaky_relu(x: jax.Array) -> jax.Array:
    """max(x, 0.2 x)."""
    return nn.leaky_relu(x, 0.2)


def gated_tanh(x: jax.Array) -> jax.Array:
    """sigmoid(a) tanh(b) of channels a and b by turns: `[..., 2C]` to `[..., C]`."""
    return nn.sigmoid(x[..., ::2]) * jnp.tanh(x[..., 1::2])


def uniform_latents(key: jax.Array, num: int, size: int) -> jax.Array:
    """z `[num, size]`, each entry uniform on [-1, 1]."""
    return jax.random.uniform(key, (num, size), minval=-1, maxval=1)


class Generator(nn.Module):
    """z to image.

    Attributes:
      image_size: pixels on a side of the output.
      channels: of the output.
      width: channels of the last hidden layer (nf); each layer before has twice as many.
      kernel: side of the convolutions.
      use_bias: the published models have none.
      first_norm: "channel" normalises the 4x4 map per channel; "unit" each of its units, as the
        released Theano model does (16,384 scales at width 128).
      norm: of the hidden layers, "batch" or "none".
      nonlinearity: of the hidden layers.
      gated: they are `gated_tanh`, of twice the channels, in place of `nonlinearity`.
      tapered: each hidden layer is half as wide as the one before; otherwise all have `width`
        channels.
      dtype: of the computation.
    """

    image_size: int = 64
    channels: int = 3
    width: int = 128
    kernel: int = 5
    use_bias: bool = False
    first_norm: Literal["channel", "unit"] = "channel"
    norm: Literal["batch", "none"] = "batch"
    nonlinearity: Callable[[jax.Array], jax.Array] = nn.relu
    gated: bool = False
    tapered: bool = True
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(
        self, z: jax.Array, *, train: bool, keep: Mapping[str, jax.Array] | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Images of latents.

        Args:
          z: `[B, Z]`.
          train: normalise by the statistics of this batch.
          keep: layer name to `[C]`, factors on that layer's feature maps; 0 removes a map
            everywhere (section 6.3.2, "forgetting to draw certain objects").

        Returns:
          Images `[B, H, W, channels]` in [-1, 1], float32, and the hidden activations after ReLU:
          "map0" `[B, 4, 4, C]`, "map1" `[B, 8, 8, C/2]`, ...
        """
        levels, wide = num_levels(self.image_size), 2 if self.gated else 1
        nonlinearity = gated_tanh if self.gated else self.nonlinearity
        features = self.width * 2 ** (levels - 1) if self.tapered else self.width
        x = nn.Dense(
            _BASE * _BASE * features * wide,
            use_bias=self.use_bias,
            dtype=self.dtype,
            kernel_init=_weights,
            name="project",
        )(z)
        if self.norm == "batch" and self.first_norm == "unit":
            x = _batch_norm("norm0", train, self.dtype)(x)
        x = x.reshape(-1, _BASE, _BASE, features * wide)
        if self.norm == "batch" and self.first_norm == "channel":
            x = _batch_norm("norm0", train, self.dtype)(x)
        maps: dict[str, jax.Array] = {}
        for level in range(levels):
            x = nonlinearity(x)
            if keep is not None and f"map{level}" in keep:
                x = x * keep[f"map{level}"].astype(x.dtype)
            maps[f"map{level}"] = x
            last = level == levels - 1
            if self.tapered:
                features //= 2
            x = ConvTranspose(
                self.channels if last else features * wide,
                self.kernel,
                2,
                use_bias=self.use_bias,
                dtype=self.dtype,
                kernel_init=_weights,
                name=f"up{level + 1}",
            )(x)
            if self.norm == "batch" and not last:
                x = _batch_norm(f"norm{level + 1}", train, self.dtype)(x)
        return jnp.tanh(x.astype(jnp.float32)), maps


class Discriminator(nn.Module):
    """Image to one logit: is it data?

    Attributes:
      width: channels of the first layer (nf); each later layer has twice as many.
      kernel: side of the convolutions.
      norm: after all convolutions but the first: "batch"; "layer", of each image by itself, as a
        gradient penalty needs (Gulrajani et al. 2017, arXiv:1704.00028, section 4); or "none".
      use_bias: the published models have none.
      nonlinearity: of the hidden layers; `guided_leaky_relu` shows what they see.
      gated: they are `gated_tanh`, of twice the channels, in place of `nonlinearity`.
      dtype: of the computation.
    """

    width: int = 128
    kernel: int = 5
    norm: Literal["batch", "layer", "none"] = "batch"
    use_bias: bool = False
    nonlinearity: Callable[[jax.Array], jax.Array] = leaky_relu
    gated: bool = False
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits of images.

        Args:
          images: `[B, H, H, C]` in [-1, 1].
          train: normalise by the statistics of this batch.

        Returns:
          Logits `[B]`, float32, and the activations of all convolutions: "map1" `[B, H/2, H/2, nf]`
          to the last, `[B, 4, 4, .]`.
        """
        check_choice("norm", self.norm, NORMS)
        nonlinearity = gated_tanh if self.gated else self.nonlinearity
        x, maps = images, {}
        for level in range(1, num_levels(images.shape[1]) + 1):
            x = Conv(
                self.width * 2 ** (level - 1) * (2 if self.gated else 1),
                self.kernel,
                2,
                use_bias=self.use_bias,
                dtype=self.dtype,
                kernel_init=_weights,
                name=f"down{level}",
            )(x)
            if level > 1 and self.norm == "batch":
                x = _batch_norm(f"norm{level}", train, self.dtype)(x)
            elif level > 1 and self.norm == "layer":
                x = _layer_norm(f"norm{level}", self.dtype)(x)
            x = maps[f"map{level}"] = nonlinearity(x)
        x = x.reshape(len(x), -1)
        logit = nn.Dense(
            1, use_bias=self.use_bias, dtype=self.dtype, kernel_init=_weights, name="logit"
        )(x)
        return logit[:, 0].astype(jnp.float32), maps
