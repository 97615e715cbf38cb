"""The networks of Krizhevsky, Sutskever, Hinton (2012) and Krizhevsky (2014, arXiv:1404.5997).

2012's has two towers: its layers 2, 4 and 5 see the half of the channels that is on their own GPU,
which is a convolution in two groups. 2014's has one, and its ReLUs of layers 1 and 5 come after the
pooling (the same function in fewer operations; in layer 1 the normalization then sees signed
values). The second paper's footnote gives conv4 384 filters, its author's configuration 256: only
these have the «0.2 % more parameters» of its text.

The convolutions (`Trunk`) and the fully-connected layers (`Head`) are modules of their own, since
they are parallelized in different ways: `research.nn.hybrid_parallel`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype, Initializer
from jax import lax

from research.nn.conv import Conv
from research.nn.local_response_norm import local_response_norm

_NO_CLASS = -1e9  # logit of an output that stands for no class


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution and what follows it.

    Attributes:
      features, kernel: its sizes.
      then: what follows, in order: "relu", "norm" (across channels), "pool" (3x3, stride 2).
      stride: step between outputs. A layer with a stride is padded at its end only, such that the
        last step is whole («ceil»: 224 pixels to 55); the others keep their input's size.
      groups: towers that do not mix.
      std: deviation of the initial kernel; 0 for sqrt(2 / fan-in).
      bias: the initial one.
    """

    features: int
    kernel: int
    then: tuple[str, ...] = ("relu",)
    stride: int = 1
    groups: int = 1
    std: float = 0.01
    bias: float = 0.0


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Convolutions, widths of the hidden fully-connected layers, and the latter's initial values:
    deviation of kernels (0: sqrt(2 / fan-in)), biases of hidden layers and of the output."""

    layers: tuple[Layer, ...]
    hidden: tuple[int, ...]
    std: float = 0.01
    bias: float = 1.0
    output_bias: float = 0.0


ARCHITECTURES = {
    "2012": Architecture(
        (
            Layer(96, 11, ("relu", "norm", "pool"), stride=4),
            Layer(256, 5, ("relu", "norm", "pool"), groups=2, bias=1.0),
            Layer(384, 3),
            Layer(384, 3, groups=2, bias=1.0),
            Layer(256, 3, ("relu", "pool"), groups=2, bias=1.0),
        ),
        hidden=(4096, 4096),
    ),
    "2014": Architecture(
        (
            Layer(64, 11, ("norm", "pool", "relu"), stride=4),
            Layer(192, 5, ("relu", "norm", "pool"), bias=1.0),
            Layer(384, 3, std=0.03),
            Layer(256, 3, std=0.03, bias=1.0),
            Layer(256, 3, ("pool", "relu"), std=0.03, bias=1.0),
        ),
        hidden=(4096, 4096),
        output_bias=-7.0,
    ),
    # Of the same shape, for images of 8 to 32 pixels.
    "small": Architecture(
        (
            Layer(16, 5, ("norm", "pool", "relu"), std=0.0),
            Layer(32, 5, ("relu", "norm", "pool"), std=0.0),
        ),
        hidden=(256,),
        std=0.0,
        bias=0.0,
    ),
}


def _normal(std: float) -> Initializer:
    if std:
        return nn.initializers.normal(std)
    return nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def _ceil_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding at the end with which the last step of a window is whole."""
    steps = -(-(size - window) // stride)
    return 0, steps * stride + window - size


class Trunk(nn.Module):
    """The convolutions: images `[B, H, W, C]` to activations `[B, D]`.

    Attributes:
      variant: key of `ARCHITECTURES`.
      norm: arguments of `local_response_norm`.
      input_scale: what pixels are multiplied by; 2012's and 2014's weights are meant for pixels of
        0 to 255, less their mean.
      dtype: of the computation.
    """

    variant: str
    norm: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    input_scale: float = 1.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.astype(self.dtype) * self.input_scale
        for i, layer in enumerate(ARCHITECTURES[self.variant].layers):
            padding: Any = layer.kernel // 2
            if layer.stride > 1:
                padding = [_ceil_padding(n, layer.kernel, layer.stride) for n in x.shape[1:3]]
            x = Conv(
                layer.features, layer.kernel, layer.stride, padding,
                feature_group_count=layer.groups, dtype=self.dtype, kernel_init=_normal(layer.std),
                bias_init=nn.initializers.constant(layer.bias), name=f"conv{i + 1}",
            )(x)
            for operation in layer.then:
                if operation == "relu":
                    x = nn.relu(x)
                elif operation == "norm":
                    x = local_response_norm(x, **self.norm)
                else:
                    pads = [_ceil_padding(n, 3, 2) for n in x.shape[1:3]]
                    x = nn.max_pool(x, (3, 3), (2, 2), pads)
        return x.reshape(x.shape[0], -1)


class Head(nn.Module):
    """The fully-connected layers: activations `[B, D]` to logits `[B, outputs]`, float32.

    Called on one of `shards` workers with that worker's part of the parameters it computes its own
    units `[B, width / shards]` of every layer, and gathers all of them before the next one. All
    workers must have the same rows. Dropout does not depend on the number of workers: the units
    that an image loses follow from the image's own key.

    Attributes:
      variant: key of `ARCHITECTURES`.
      num_classes: of the labels.
      outputs_multiple: the number of outputs is the next multiple of it; those that are no class
        have a logit of -1e9.
      dropout: share of hidden units that are dropped.
      dtype: of the computation.
      axis, shards: name and length of the mesh axis that units are split over; "" for none.
    """

    variant: str
    num_classes: int
    outputs_multiple: int = 1
    dropout: float = 0.5
    dtype: Dtype = jnp.float32
    axis: str = ""
    shards: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, row_keys: jax.Array | None = None) -> jax.Array:
        """Logits `[B, outputs / shards]`.

        Args:
          x: `[B, D]`.
          row_keys: `[B]`, the key of each image's dropout, in training. Without, all units are kept
            and scaled down by their probability instead (2012, section 4.2).
        """
        arch = ARCHITECTURES[self.variant]
        x = x.astype(self.dtype)

        def dense(x: jax.Array, units: int, bias: float, name: str) -> jax.Array:
            return nn.Dense(
                units // self.shards, dtype=self.dtype, kernel_init=_normal(arch.std),
                bias_init=nn.initializers.constant(bias), name=name,
            )(x)

        for i, width in enumerate(arch.hidden):
            x = nn.relu(dense(x, width, arch.bias, f"fc{len(arch.layers) + i + 1}"))
            if self.dropout:
                x = x * self._kept(row_keys, i, width).astype(x.dtype)
            if self.axis:
                x = lax.all_gather(x, self.axis, axis=1, tiled=True)
        outputs = math.ceil(self.num_classes / self.outputs_multiple) * self.outputs_multiple
        logits = dense(x, outputs, arch.output_bias, "output").astype(jnp.float32)
        classes = self._first(outputs) + jnp.arange(outputs // self.shards)
        return jnp.where(classes < self.num_classes, logits, _NO_CLASS)

    def _kept(self, row_keys: jax.Array | None, layer: int, width: int) -> jax.Array:
        """What this worker's units are multiplied by, `[B, width / shards]` or a scalar."""
        if row_keys is None:
            return jnp.float32(1 - self.dropout)
        kept = jax.vmap(
            lambda key: jax.random.bernoulli(
                jax.random.fold_in(key, layer), 1 - self.dropout, (width,)
            )
        )(row_keys)
        return lax.dynamic_slice_in_dim(kept, self._first(width), width // self.shards, axis=1)

    def _first(self, width: int) -> jax.Array | int:
        """The first unit of this worker."""
        return lax.axis_index(self.axis) * (width // self.shards) if self.axis else 0
