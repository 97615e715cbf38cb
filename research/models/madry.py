"""The networks of Madry et al. (2017, arXiv:1706.06083), as in the released code.

For MNIST two convolutions and a dense layer; for CIFAR-10 a residual network in which activations
come before convolutions (Zagoruyko and Komodakis 2016, arXiv:1605.07146), ten times as wide as
He et al.'s: "w32-10 wide".
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Dtype

from research.nn.conv import Conv
from research.nn.max_pool import max_pool


class ConvNet(nn.Module):
    """Convolutions of 5x5, each with 2x2 max pooling, and a dense layer.

    Attributes:
      num_classes: K.
      channels: of the convolutions; 32 and 64 in the paper.
      width: units of the dense layer; 1024 in the paper.
      dtype: of the computation.
    """

    num_classes: int
    channels: Sequence[int] = (32, 64)
    width: int = 1024
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, K]` of images `[B, S, S, C]` in [0, 1]; `train` changes nothing."""
        del train
        start: dict[str, Any] = {
            "kernel_init": initializers.truncated_normal(0.1),
            "bias_init": initializers.constant(0.1),
            "dtype": self.dtype,
        }
        for i, channels in enumerate(self.channels, 1):
            x = nn.relu(Conv(channels, 5, name=f"conv{i}", **start)(x))
            x = max_pool(x, 2, 2)
        x = x.reshape(len(x), -1)
        x = nn.relu(nn.Dense(self.width, name="dense", **start)(x))
        logits = nn.Dense(self.num_classes, name="softmax", **start)(x)
        return logits.astype(jnp.float32), {}


class WideResNet(nn.Module):
    """Three stages of residual blocks, batch norm and leaky ReLU before each convolution.

    Attributes:
      num_classes: K.
      blocks: of each stage; 5 in the paper.
      widths: channels of the first convolution and of the stages; 16, 160, 320 and 640 there.
      dtype: of the computation; batch statistics are always float32.
    """

    num_classes: int
    blocks: int = 5
    widths: Sequence[int] = (16, 160, 320, 640)
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, K]` of images `[B, S, S, C]` in [0, 1]; in training by batch statistics."""

        def activate(x: jax.Array, name: str) -> jax.Array:
            norm = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                epsilon=1e-3,
                dtype=self.dtype,
                name=name,
            )
            return nn.leaky_relu(norm(x), 0.1)

        # Deviation sqrt(2 / n), n weights from an input to the outputs.
        kernel_init = initializers.variance_scaling(2.0, "fan_out", "normal")
        conv = functools.partial(
            Conv, kernel_size=3, use_bias=False, kernel_init=kernel_init, dtype=self.dtype
        )
        x = conv(self.widths[0], name="first")(standardized(x))
        for stage, width in enumerate(self.widths[1:], 1):
            for block in range(1, self.blocks + 1):
                name = f"stage{stage}_block{block}"
                stride = 2 if stage > 1 and block == 1 else 1
                y = activate(x, f"{name}_norm1")
                if stage == block == 1:
                    x = y  # the very first block's shortcut is activated too
                y = conv(width, strides=stride, name=f"{name}_conv1")(y)
                y = activate(y, f"{name}_norm2")
                y = conv(width, name=f"{name}_conv2")(y)
                x = y + _shortcut(x, width, stride)
        x = activate(x, "last_norm").astype(jnp.float32).mean((1, 2))
        logits = nn.Dense(
            self.num_classes,
            kernel_init=initializers.variance_scaling(1.0, "fan_in", "uniform"),
            name="softmax",
        )(x)
        return logits, {}


def standardized(images: jax.Array) -> jax.Array:
    """Every image less its mean and over its deviation, as TensorFlow's function of that name.

    Args:
      images: `[B, H, W, C]`, in 0 to 1. The least deviation is 1 / sqrt(H W C) of a pixel's step,
        1 / 255.
    """
    size = images[0].size
    mean = images.mean((1, 2, 3), keepdims=True)
    centred = images - mean
    # By the gradient's grace of a floor inside the root: an image of one colour has none.
    variance = jnp.square(centred).mean((1, 2, 3), keepdims=True)
    return centred / jnp.sqrt(jnp.maximum(variance, 1 / (255.0**2 * size)))


def _shortcut(x: jax.Array, width: int, stride: int) -> jax.Array:
    """Squares of pixels are averaged, and channels of zeros put on both sides."""
    if x.shape[-1] == width:
        return x
    if stride > 1:
        x = nn.avg_pool(x, (stride, stride), (stride, stride))
    more = (width - x.shape[-1]) // 2
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (more, more)))
