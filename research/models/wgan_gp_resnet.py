"""The residual generators and critics of WGAN-GP, released with the paper.

Source: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville 2017, arXiv:1704.00028, appendices C and F
and the released code.

    Generator, Critic                     CIFAR-10 at 32 px, width 128, all stages alike
    TaperedGenerator, TaperedCritic       LSUN at 64 px, width 64: 8, 4, 2, 1 times as wide
    DeepGenerator, DeepCritic             the same at 101 layers, of bottlenecks

A generator's maps grow from 4x4 in stages of twice the side. Images have 4 * 2^stages pixels on a
side. A critic has layer norm or none: a penalty on the gradient is of each image by itself.

Convolutions before a ReLU have He's initialisation, 1x1 shortcuts and the last one Glorot's.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from research.models.dcgan import num_levels
from research.nn.conditional_batch_norm import ConditionalBatchNorm
from research.nn.conv import Conv, ConvTranspose

Norm = Literal["batch", "layer", "none"]
Resample = Literal["up", "down", ""]

_he = nn.initializers.he_uniform()
_glorot = nn.initializers.glorot_uniform()
_BASE = 4  # side of the smallest map


def upsample(x: jax.Array) -> jax.Array:
    """Every pixel four times: `[B, H, W, C]` to `[B, 2H, 2W, C]`."""
    return x.repeat(2, 1).repeat(2, 2)


def mean_pool(x: jax.Array) -> jax.Array:
    """Means of two by two pixels: `[B, H, W, C]` to `[B, H/2, W/2, C]`."""
    return nn.avg_pool(x, (2, 2), (2, 2))


def normalize(
    x: jax.Array, norm: Norm, label: jax.Array | None, train: bool, name: str, dtype: Any
) -> jax.Array:
    """Batch norm (of the classes, where there are any), layer norm of an image, or nothing."""
    if norm == "batch" and label is not None:
        return ConditionalBatchNorm(dtype=dtype, name=name)(x, label, train=train)
    if norm == "batch":
        return nn.BatchNorm(
            use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype, name=name
        )(x)
    if norm == "layer":
        return nn.LayerNorm(
            epsilon=1e-5, reduction_axes=(1, 2, 3), feature_axes=-1, dtype=dtype, name=name
        )(x)
    return x


class Block(nn.Module):
    """Norm, ReLU, 3x3, norm, ReLU, 3x3; beside it a 1x1 shortcut where the shape changes.

    Attributes:
      features: channels of the output.
      resample: "up" doubles the sides, in the first convolution's input; "down" halves them, in the
        second one's output.
      norm: before each ReLU.
      first: the critic's first block: no norm and ReLU on the image, and the shortcut pools before
        its 1x1 convolution.
      dtype: of the computation.
    """

    features: int
    resample: Resample = ""
    norm: Norm = "none"
    first: bool = False
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool) -> jax.Array:
        """Maps `[B, H', W', features]` of maps x `[B, H, W, C]`; label as of `normalize`."""

        def conv(features: int, kernel: int, init: Any, name: str) -> Conv:
            return Conv(features, kernel, kernel_init=init, dtype=self.dtype, name=name)

        inputs = x.shape[-1]
        # On its way down a block keeps its width until the second convolution.
        hidden = inputs if self.resample == "down" and not self.first else self.features
        shortcut = x
        if self.resample == "up":
            shortcut = upsample(shortcut)
        if self.first:
            shortcut = mean_pool(shortcut)
        if self.resample or inputs != self.features:
            shortcut = conv(self.features, 1, _glorot, "shortcut")(shortcut)
        if self.resample == "down" and not self.first:
            shortcut = mean_pool(shortcut)

        if not self.first:
            x = nn.relu(normalize(x, self.norm, label, train, "norm1", self.dtype))
        if self.resample == "up":
            x = upsample(x)
        x = conv(hidden, 3, _he, "conv1")(x)
        if not self.first:
            x = normalize(x, self.norm, label, train, "norm2", self.dtype)
        x = conv(self.features, 3, _he, "conv2")(nn.relu(x))
        return shortcut + (mean_pool(x) if self.resample == "down" else x)


class Generator(nn.Module):
    """z to image, all stages alike (table 3's network, appendix C).

    Attributes:
      image_size, channels: of the output.
      num_classes: K; 0 for none.
      width: channels of all maps.
      dtype: of the computation.
    """

    image_size: int = 32
    channels: int = 3
    num_classes: int = 0
    width: int = 128
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Images of latents.

        Args:
          z: `[B, Z + K]`, the class behind the latents, one-hot.
          train: normalise by the statistics of this batch.

        Returns:
          Images `[B, H, H, channels]` in [-1, 1], float32, and maps by name.
        """
        cut = z.shape[-1] - self.num_classes
        label = z[:, cut:] if self.num_classes else None
        x = nn.Dense(
            _BASE * _BASE * self.width, kernel_init=_glorot, dtype=self.dtype, name="project"
        )(z[:, :cut])
        x, maps = x.reshape(-1, _BASE, _BASE, self.width), {}
        for level in range(1, num_levels(self.image_size) + 1):
            block = Block(self.width, "up", "batch", dtype=self.dtype, name=f"up{level}")
            x = maps[f"map{level}"] = block(x, label, train=train)
        # The last norm is the same for all classes.
        x = nn.relu(normalize(x, "batch", None, train, "norm", self.dtype))
        x = Conv(self.channels, 3, kernel_init=_glorot, dtype=self.dtype, name="image")(x)
        return jnp.tanh(x.astype(jnp.float32)), maps


class Critic(nn.Module):
    """Image to a score, and to classes: two blocks that halve the sides, two that do not.

    Attributes:
      num_classes: K; 0 for none.
      width: channels of all maps.
      norm: "layer" or "none", which the paper's has on CIFAR-10.
      dtype: of the computation.
    """

    num_classes: int = 0
    width: int = 128
    norm: Norm = "none"
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scores `[B]` of images `[B, H, H, C]`, float32, and maps, "class_logits" `[B, K]`."""
        block = Block(self.width, "down", first=True, dtype=self.dtype, name="block1")
        x = block(images, None, train=train)
        for i, resample in enumerate(("down", "", ""), 2):
            block = Block(self.width, resample, self.norm, dtype=self.dtype, name=f"block{i}")  # type: ignore[arg-type]
            x = block(x, None, train=train)
        x = nn.relu(x).mean((1, 2)).astype(jnp.float32)
        maps = {"features": x}
        if self.num_classes:
            maps["class_logits"] = nn.Dense(self.num_classes, kernel_init=_glorot, name="classes")(
                x
            )
        return nn.Dense(1, kernel_init=_glorot, name="score")(x)[:, 0], maps


class TaperedGenerator(nn.Module):
    """z to image; the maps of a stage have half the channels of the one before, `width` at last."""

    image_size: int = 64
    channels: int = 3
    width: int = 64
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Images `[B, H, H, channels]` in [-1, 1] of latents `[B, Z]`, and maps by name."""
        levels = num_levels(self.image_size)
        features = self.width * 2 ** (levels - 1)
        x = nn.Dense(
            _BASE * _BASE * features, kernel_init=_glorot, dtype=self.dtype, name="project"
        )(z)
        x, maps = x.reshape(-1, _BASE, _BASE, features), {}
        for level in range(levels):
            features = self.width * 2 ** (levels - 1 - level)
            block = Block(features, "up", "batch", dtype=self.dtype, name=f"up{level + 1}")
            x = maps[f"map{level + 1}"] = block(x, None, train=train)
        x = nn.relu(normalize(x, "batch", None, train, "norm", self.dtype))
        x = Conv(self.channels, 3, kernel_init=_glorot, dtype=self.dtype, name="image")(x)
        return jnp.tanh(x.astype(jnp.float32)), maps


class TaperedCritic(nn.Module):
    """Image to a score; the maps of a stage have twice the channels of the one before."""

    width: int = 64
    norm: Norm = "layer"
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scores `[B]` of images `[B, H, H, C]`, float32, and maps by name."""
        levels, maps = num_levels(images.shape[1]), {}
        x = Conv(self.width, 3, kernel_init=_glorot, dtype=self.dtype, name="image")(images)
        for level in range(levels):
            features = self.width * 2 ** min(level + 1, levels - 1)
            block = Block(features, "down", self.norm, dtype=self.dtype, name=f"down{level + 1}")
            x = maps[f"map{level + 1}"] = block(x, None, train=train)
        x = x.reshape(len(x), -1).astype(jnp.float32)
        return nn.Dense(1, kernel_init=_glorot, name="score")(x)[:, 0], maps


class Bottleneck(nn.Module):
    """ReLU, 1x1, ReLU, 3x3, ReLU, 1x1, norm, times 0.3; the middle half as wide (figure 2's last).

    Attributes:
      features: channels of the output; an even number.
      resample: "up" by a transposed convolution in the middle, with a shortcut of pixels out of
        channels; "down" by a stride there and in the shortcut.
      norm: at the end.
      dtype: of the computation.
    """

    features: int
    resample: Resample = ""
    norm: Norm = "none"
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H', W', features]` of maps x `[B, H, W, C]`."""
        inputs = x.shape[-1]
        stride = 2 if self.resample == "down" else 1
        options: dict[str, Any] = {"kernel_init": _he, "dtype": self.dtype}
        shortcut = x
        if self.resample == "up":
            shortcut = Conv(
                4 * self.features, 1, kernel_init=_glorot, dtype=self.dtype, name="shortcut"
            )(shortcut)
            shortcut = depth_to_space(shortcut)
        elif self.resample or inputs != self.features:
            shortcut = Conv(
                self.features, 1, stride, kernel_init=_glorot, dtype=self.dtype, name="shortcut"
            )(shortcut)
        x = Conv(inputs // 2, 1, name="conv1", **options)(nn.relu(x))
        if self.resample == "up":
            x = ConvTranspose(self.features // 2, 3, 2, name="conv2", **options)(nn.relu(x))
        else:
            x = Conv(self.features // 2, 3, stride, name="conv2", **options)(nn.relu(x))
        # Its bias would be lost in the norm that follows.
        x = Conv(self.features, 1, use_bias=False, name="conv3", **options)(nn.relu(x))
        return shortcut + 0.3 * normalize(x, self.norm, None, train, "norm", self.dtype)


def depth_to_space(x: jax.Array) -> jax.Array:
    """Channels to pixels: `[B, H, W, 4C]` to `[B, 2H, 2W, C]`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, 2 * h, 2 * w, c // 4)


class DeepGenerator(nn.Module):
    """z to image in 101 layers: `repeats` bottlenecks between any two that double the sides."""

    image_size: int = 64
    channels: int = 3
    width: int = 64
    repeats: int = 6
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Images `[B, H, H, channels]` in [-1, 1] of latents `[B, Z]`, and maps by name."""
        levels = num_levels(self.image_size)
        features = self.width * 2 ** (levels - 1)
        x = nn.Dense(
            _BASE * _BASE * features, kernel_init=_glorot, dtype=self.dtype, name="project"
        )(z)
        x, maps = x.reshape(-1, _BASE, _BASE, features), {}
        for level in range(levels + 1):
            # The last stage, half as wide as the one before, has one block less.
            for i in range(self.repeats - (level == levels)):
                name = f"stage{level}_{i}"
                x = Bottleneck(features, "", "batch", self.dtype, name=name)(x, train=train)
            maps[f"map{level}"] = x
            if level < levels:
                features //= 2
                x = Bottleneck(features, "up", "batch", self.dtype, name=f"up{level + 1}")(
                    x, train=train
                )
        x = Conv(self.channels, 1, kernel_init=_glorot, dtype=self.dtype, name="image")(x)
        return jnp.tanh(x.astype(jnp.float32) / 5), maps


class DeepCritic(nn.Module):
    """Image to a score in 101 layers: `DeepGenerator` the other way round."""

    width: int = 64
    repeats: int = 6
    norm: Norm = "layer"
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scores `[B]` of images `[B, H, H, C]`, float32, and maps by name."""
        levels, features = num_levels(images.shape[1]), self.width // 2
        x = Conv(features, 1, kernel_init=_glorot, dtype=self.dtype, name="image")(images)
        maps = {}
        for level in range(levels + 1):
            for i in range(self.repeats - (level == 0)):
                name = f"stage{level}_{i}"
                x = Bottleneck(features, "", self.norm, self.dtype, name=name)(x, train=train)
            maps[f"map{level}"] = x
            if level < levels:
                features *= 2
                x = Bottleneck(features, "down", self.norm, self.dtype, name=f"down{level + 1}")(
                    x, train=train
                )
        x = x.reshape(len(x), -1).astype(jnp.float32)
        return nn.Dense(1, kernel_init=_glorot, name="score")(x)[:, 0] / 5, maps
