"""Residual networks and their plain counterparts (He, Zhang, Ren, Sun, 2015, arXiv:1512.03385).

Two families: ImageNet's (section 3.3, table 1) and CIFAR's (section 4.2). A plain network is the
same without shortcuts. Batch normalization is over the whole batch or over groups of images, as of
a GPU (the paper's 32).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.core.errors import UserError
from research.models.sizes import RESNET as IMAGENET
from research.nn.conv import Conv
from research.nn.ghost_batch_norm import GhostBatchNorm

# Section 3.4 and its reference [13], equation 10: deviation sqrt(2 / n), n weights to an output.
he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")

# As `momentum` of `flax.linen.BatchNorm`: the weight of the old value in the running averages.
BATCH_NORM_MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Sizes of a network.

    Attributes:
      blocks: number of blocks in each stage.
      widths: channels of each stage's 3x3 layers.
      bottleneck: blocks of 1x1, 3x3, 1x1 (four times as wide) instead of two 3x3.
      imagenet_stem: 7x7/2 of 64 and 3x3/2 max pooling, or else (CIFAR) one 3x3 of the first width.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    bottleneck: bool
    imagenet_stem: bool


def architecture(variant: str, width: int = 0) -> Architecture:
    """The paper's network called `variant`.

    Args:
      variant: "imagenet18", 34, 50, 101 or 152; "cifar20", or any other depth 6n + 2; of no paper,
        "flat3" or any other number of blocks in one stage, on images of few pixels.
      width: channels of the first stage; 0 for the paper's 64 (ImageNet) or 16 (CIFAR).

    Raises:
      UserError: there is no such network.
    """
    match = re.fullmatch(r"(imagenet|cifar|flat)(\d+)", variant)
    if not match:
        raise UserError(f"model.variant is 'imagenet50', 'cifar20' and so on, not {variant!r}")
    depth = int(match[2])
    if match[1] == "imagenet":
        if depth not in IMAGENET:
            raise UserError(
                f"ImageNet networks have {', '.join(map(str, IMAGENET))} layers, not {depth}"
            )
        blocks, bottleneck = IMAGENET[depth]
        return Architecture(blocks, tuple((width or 64) << i for i in range(4)), bottleneck, True)
    if match[1] == "flat":
        return Architecture((depth,), (width or 16,), False, False)
    n, rest = divmod(depth - 2, 6)
    if n < 1 or rest:
        raise UserError(f"CIFAR networks have 6n + 2 layers (20, 32, 44, ...), not {depth}")
    return Architecture((n,) * 3, tuple((width or 16) << i for i in range(3)), False, False)


class ResNet(nn.Module):
    """A plain or residual network for images.

    Attributes:
      variant: see `architecture`.
      num_classes: size of the output.
      residual: False for the plain network.
      shortcut: where a block changes the shape, "A" subsamples and pads channels with zeros (no
        parameters), "B" projects with a 1x1 convolution; "C" projects in every block.
      stride_in: layer of a bottleneck that has the stride, "1x1" (the first; the paper) or "3x3"
        (the Torch variant).
      width: channels of the first stage; 0 for the paper's.
      norm_group: images that batch normalization is over, a divisor of the batch; 0 for all.
      last_scale: initial gamma of each block's last normalization; with 0 a block starts as its
        shortcut (Goyal et al., 2017, section 5.1).
      conv_fan: "fan_in" or "fan_out", what the initial deviation of the convolutions follows.
      classifier_deviation: initial, of the last layer; 0 for that of the convolutions.
      pool: side of the squares of positions that are averaged before the last layer; 0, the
        paper's, for all positions.
      dtype: of the computation; batch statistics are always float32.
    """

    variant: str
    num_classes: int
    residual: bool = True
    shortcut: str = "B"
    stride_in: str = "1x1"
    width: int = 0
    norm_group: int = 0
    last_scale: float = 1.0
    conv_fan: Literal["fan_in", "fan_out"] = "fan_in"
    classifier_deviation: float = 0.0
    pool: int = 0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        """Classifies images of any size.

        Args:
          x: `[B, H, W, 3]`.
          train: normalize by the batch's statistics and update the running averages.

        Returns:
          Logits `[B, num_classes]` float32. The last layer is linear, so on an image larger than
          those of training they are the average of the fully convolutional network's score map.
          "responses": `{"0001_stem": [B, h, w, c], ...}`, output of every k x k layer (k > 1) after
          batch normalization, before ReLU or addition; "features": `[B, C]`, pooled
          (`[B, h w C]` where `pool` leaves several positions).

        Raises:
          UserError: unknown variant, shortcut or place of the stride.
        """
        if self.shortcut not in "ABC" or len(self.shortcut) != 1:
            raise UserError(f"model.shortcut is 'A', 'B' or 'C', not {self.shortcut!r}")
        if self.stride_in not in ("1x1", "3x3"):
            raise UserError(f"model.stride_in is '1x1' or '3x3', not {self.stride_in!r}")
        arch = architecture(self.variant, self.width)
        responses: dict[str, jax.Array] = {}
        layer = functools.partial(self._conv_norm, train, responses)

        x = x.astype(self.dtype)
        if arch.imagenet_stem:
            x = nn.relu(layer("stem", x, arch.widths[0], 7, strides=2))
            # nn.max_pool pads with -inf: padding never wins.
            x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        else:
            x = nn.relu(layer("stem", x, arch.widths[0], 3))

        for stage, (blocks, width) in enumerate(zip(arch.blocks, arch.widths, strict=True)):
            for block in range(blocks):
                name = f"stage{stage + 1}_block{block + 1}"
                stride = 2 if block == 0 and stage > 0 else 1
                x = self._block(layer, name, x, width, stride, arch.bottleneck)

        x = x.astype(jnp.float32)
        if self.pool:
            squares = nn.avg_pool(x, (self.pool, self.pool), (self.pool, self.pool))
            pooled = squares.reshape(x.shape[0], -1)
        else:
            pooled = x.mean((1, 2))
        linear = (
            nn.initializers.normal(self.classifier_deviation)
            if self.classifier_deviation
            else he_normal
        )
        logits = nn.Dense(self.num_classes, kernel_init=linear, name="classifier")(pooled)
        return logits, {"responses": responses, "features": pooled}

    @nn.nowrap
    def _block(
        self,
        layer: Callable[..., jax.Array],
        name: str,
        x: jax.Array,
        width: int,
        stride: int,
        bottleneck: bool,
    ) -> jax.Array:
        """A block of two 3x3 layers, or of 1x1, 3x3 and 1x1, and its shortcut (section 3.2)."""
        features = 4 * width if bottleneck else width
        if bottleneck:
            first, second = (stride, 1) if self.stride_in == "1x1" else (1, stride)
            y = nn.relu(layer(f"{name}_1", x, width, 1, strides=first))
            y = nn.relu(layer(f"{name}_2", y, width, 3, strides=second))
            y = layer(f"{name}_3", y, features, 1, scale=self.last_scale)
        else:
            y = nn.relu(layer(f"{name}_1", x, width, 3, strides=stride))
            y = layer(f"{name}_2", y, width, 3, scale=self.last_scale)
        if self.residual:
            changes = x.shape[-1] != features or stride > 1
            if self.shortcut == "C" or (self.shortcut == "B" and changes):
                x = layer(f"{name}_shortcut", x, features, 1, strides=stride)
            else:
                x = subsample_and_pad(x, stride, features)
            y = y + x
        return nn.relu(y)

    @nn.nowrap
    def _conv_norm(
        self,
        train: bool,
        responses: dict[str, jax.Array],
        name: str,
        x: jax.Array,
        features: int,
        size: int,
        strides: int = 1,
        scale: float = 1.0,
    ) -> jax.Array:
        """A convolution and its batch normalization, whose gamma begins at `scale`.

        The outputs of kernels larger than 1x1 are noted in `responses`.
        """
        x = Conv(
            features,
            size,
            strides,
            padding=size // 2,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.variance_scaling(2.0, self.conv_fan, "normal"),
            name=f"{name}_conv",
        )(x)
        norm = (
            functools.partial(GhostBatchNorm, group_size=self.norm_group)
            if self.norm_group
            else nn.BatchNorm
        )
        x = norm(
            use_running_average=not train,
            momentum=BATCH_NORM_MOMENTUM,
            dtype=self.dtype,
            scale_init=nn.initializers.constant(scale),
            name=f"{name}_norm",
        )(x)
        if size > 1:
            # Numbered, because transformations sort the keys of dictionaries.
            responses[f"{len(responses) + 1:04d}_{name}"] = x
        return x


def subsample_and_pad(x: jax.Array, stride: int, features: int) -> jax.Array:
    """Option A: every `stride`-th pixel, new channels zero: `[B, H, W, C] -> [B, H', W', F]`."""
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0),) * 3 + ((0, features - x.shape[-1]),))
