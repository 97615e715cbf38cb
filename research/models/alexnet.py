"""The networks of Krizhevsky, Sutskever, Hinton (2012) and Krizhevsky (2014, arXiv:1404.5997).

2012's has two towers: its layers 2, 4 and 5 see the half of the channels that is on their own GPU,
which is a convolution in two groups; so does the normalization, since the GPUs exchange nothing
there. `apply_towers` lays them over two devices, with the same parameters.

2014's has one, and its ReLUs of layers 1 and 5 come after the pooling (the same function in fewer
operations; in layer 1 the normalization then sees signed values). The second paper's footnote gives
conv4 384 filters, its author's configuration 256: only these have the «0.2 % more parameters» of
its text.

The convolutions (`Trunk`) and the fully-connected layers (`Head`) are modules of their own, since
they are parallelized in different ways: `research.papers.one_weird_trick.hybrid_parallel`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype, Initializer
from jax import lax
from jax.sharding import PartitionSpec as P

from research.core.partition import BATCH_SPEC
from research.core.tree import path_name
from research.nn.conv import Conv
from research.nn.local_response_norm import local_response_norm
from research.nn.max_pool import ceil_padding, max_pool

_NO_CLASS = -1e9  # logit of an output that stands for no class


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution and what follows it.

    Attributes:
      features, kernel: its sizes.
      then: what follows, in order: "activation", "norm" (across channels), "pool" (overlapping:
        3x3, stride 2).
      stride: step between outputs. A layer with a stride is padded at its end only, such that the
        last step is whole («ceil»: 224 pixels to 55); the others keep their input's size.
      groups: towers that do not mix.
      std: deviation of the initial kernel; 0 for sqrt(2 / fan-in).
      bias: the initial one.
    """

    features: int
    kernel: int
    then: tuple[str, ...] = ("activation",)
    stride: int = 1
    groups: int = 1
    std: float = 0.01
    bias: float = 0.0


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Sizes of a network.

    Attributes:
      layers: the convolutions.
      hidden: units of the hidden fully-connected layers.
      std: initial deviation of the fully-connected kernels; 0 for sqrt(2 / fan-in).
      bias, output_bias: initial biases of hidden layers and of the output.
      towers: how many there are; that of the convolutions' groups where they have any.
    """

    layers: tuple[Layer, ...]
    hidden: tuple[int, ...]
    std: float = 0.01
    bias: float = 1.0
    output_bias: float = 0.0
    towers: int = 1


_2012 = Architecture(
    (
        Layer(96, 11, ("activation", "norm", "pool"), stride=4),
        Layer(256, 5, ("activation", "norm", "pool"), groups=2, bias=1.0),
        Layer(384, 3),
        Layer(384, 3, groups=2, bias=1.0),
        Layer(256, 3, ("activation", "pool"), groups=2, bias=1.0),
    ),
    hidden=(4096, 4096),
    towers=2,
)
ARCHITECTURES = {
    "2012": _2012,
    "2012_one_tower": dataclasses.replace(
        _2012, towers=1, layers=tuple(dataclasses.replace(x, groups=1) for x in _2012.layers)
    ),
    "2014": Architecture(
        (
            Layer(64, 11, ("norm", "pool", "activation"), stride=4),
            Layer(192, 5, ("activation", "norm", "pool"), bias=1.0),
            Layer(384, 3, std=0.03),
            Layer(256, 3, std=0.03, bias=1.0),
            Layer(256, 3, ("pool", "activation"), std=0.03, bias=1.0),
        ),
        hidden=(4096, 4096),
        output_bias=-7.0,
    ),
    # Of the same shape, for images of 8 to 32 pixels.
    "small": Architecture(
        (
            Layer(16, 5, ("norm", "pool", "activation"), std=0.0),
            Layer(32, 5, ("activation", "norm", "pool"), std=0.0),
        ),
        hidden=(256,),
        std=0.0,
        bias=0.0,
    ),
    # 2012's, for images of 8 to 16 pixels.
    "small_towers": Architecture(
        (
            Layer(8, 5, ("activation", "norm", "pool"), std=0.0),
            Layer(16, 3, ("activation", "norm", "pool"), groups=2, std=0.0),
            Layer(16, 3, ("activation", "pool"), std=0.0),
        ),
        hidden=(32, 32),
        std=0.0,
        bias=0.0,
        towers=2,
    ),
    # For 32 pixels: activations are compared in it (2012, figure 1; its sizes are not published).
    "cifar": Architecture(
        tuple(Layer(n, 5, ("activation", "pool"), std=0.0) for n in (32, 32, 64)),
        hidden=(),
    ),
    # Hinton et al., 2012 (arXiv:1207.0580), figure 1.
    "mlp": Architecture((), hidden=(800, 800), bias=0.0),
}
ACTIVATIONS = {"relu": nn.relu, "tanh": jnp.tanh, "logistic": nn.sigmoid}


def _normal(std: float) -> Initializer:
    if std:
        return nn.initializers.normal(std)
    return nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class Trunk(nn.Module):
    """The convolutions: images `[B, H, W, C]` to activations `[B, D]`.

    Attributes:
      variant: key of `ARCHITECTURES`.
      norm: arguments of `local_response_norm`.
      input_scale: what pixels are multiplied by; 2012's and 2014's weights are meant for pixels of
        0 to 255, less their mean.
      activation: key of `ACTIVATIONS`.
      pool_window: side of a pooled square; 2 for pooling without overlap.
      dtype: of the computation.
      axis, shards: name and length of the mesh axis that towers are split over; "" for none.
    """

    variant: str
    norm: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    input_scale: float = 1.0
    activation: str = "relu"
    pool_window: int = 3
    dtype: Dtype = jnp.float32
    axis: str = ""
    shards: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        arch = ARCHITECTURES[self.variant]
        x = x.astype(self.dtype) * self.input_scale
        for i, layer in enumerate(arch.layers):
            if i and layer.groups == 1:
                x = self._of_all_towers(x)
            padding: Any = layer.kernel // 2
            if layer.stride > 1:
                padding = [ceil_padding(n, layer.kernel, layer.stride) for n in x.shape[1:3]]
            x = Conv(
                layer.features // self.shards,
                layer.kernel,
                layer.stride,
                padding,
                feature_group_count=max(1, layer.groups // self.shards),
                dtype=self.dtype,
                kernel_init=_normal(layer.std),
                bias_init=nn.initializers.constant(layer.bias),
                name=f"conv{i + 1}",
            )(x)
            for operation in layer.then:
                if operation == "activation":
                    x = ACTIVATIONS[self.activation](x)
                elif operation == "norm":
                    x = local_response_norm(x, groups=arch.towers // self.shards, **self.norm)
                else:
                    x = max_pool(x, self.pool_window, stride=2)
        return self._of_all_towers(x).reshape(x.shape[0], -1)

    def _of_all_towers(self, x: jax.Array) -> jax.Array:
        return lax.all_gather(x, self.axis, axis=3, tiled=True) if self.axis else x


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
      input_dropout: share of the head's inputs that are dropped.
      activation: of hidden units, key of `ACTIVATIONS`.
      dtype: of the computation.
      axis, shards: name and length of the mesh axis that units are split over; "" for none.
    """

    variant: str
    num_classes: int
    outputs_multiple: int = 1
    dropout: float = 0.5
    input_dropout: float = 0.0
    activation: str = "relu"
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
                units // self.shards,
                dtype=self.dtype,
                kernel_init=_normal(arch.std),
                bias_init=nn.initializers.constant(bias),
                name=name,
            )(x)

        if self.input_dropout:
            kept = self._kept(row_keys, len(arch.hidden), x.shape[1], self.input_dropout)
            x = x * kept.astype(x.dtype)
        for i, width in enumerate(arch.hidden):
            x = dense(x, width, arch.bias, f"fc{len(arch.layers) + i + 1}")
            x = ACTIVATIONS[self.activation](x)
            if self.dropout:
                x = x * self._own(self._kept(row_keys, i, width, self.dropout)).astype(x.dtype)
            if self.axis:
                x = lax.all_gather(x, self.axis, axis=1, tiled=True)
        outputs = math.ceil(self.num_classes / self.outputs_multiple) * self.outputs_multiple
        logits = dense(x, outputs, arch.output_bias, "output").astype(jnp.float32)
        own = self._own(jnp.arange(outputs)[None])
        return jnp.where(own < self.num_classes, logits, _NO_CLASS)

    def _kept(self, row_keys: jax.Array | None, layer: int, width: int, share: float) -> jax.Array:
        """What a layer's units are multiplied by, `[B, width]`, `[1, width]` where all are kept."""
        if row_keys is None:
            return jnp.full((1, width), 1 - share)
        return jax.vmap(
            lambda key: jax.random.bernoulli(jax.random.fold_in(key, layer), 1 - share, (width,))
        )(row_keys)

    def _own(self, x: jax.Array) -> jax.Array:
        """This worker's units of `[B, width]`."""
        if not self.axis:
            return x
        width = x.shape[1] // self.shards
        return lax.dynamic_slice_in_dim(x, lax.axis_index(self.axis) * width, width, axis=1)


class AlexNet(nn.Module):
    """Images `[B, H, W, C]` to logits `[B, classes / shards]`: a `Trunk` and a `Head`.

    Attributes: as theirs.
    """

    variant: str
    num_classes: int
    norm: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    input_scale: float = 1.0
    activation: str = "relu"
    pool_window: int = 3
    dropout: float = 0.5
    input_dropout: float = 0.0
    dtype: Dtype = jnp.float32
    axis: str = ""
    shards: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, row_keys: jax.Array | None = None) -> jax.Array:
        split: dict[str, Any] = {"dtype": self.dtype, "axis": self.axis, "shards": self.shards}
        x = Trunk(
            self.variant,
            self.norm,
            self.input_scale,
            self.activation,
            self.pool_window,
            name="trunk",
            **split,
        )(x)
        return Head(
            self.variant,
            self.num_classes,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            activation=self.activation,
            name="head",
            **split,
        )(x, row_keys)


TOWERS = "model"  # the mesh axis that `apply_towers` splits kernels over
TOWER_RULES = (
    ("/conv\\d+/kernel$", P(None, None, None, TOWERS)),
    ("/(fc\\d+|output)/kernel$", P(None, TOWERS)),
    ("/bias$", P(TOWERS)),
)


def apply_towers(
    model: AlexNet, params: Any, x: jax.Array, row_keys: jax.Array | None = None
) -> jax.Array:
    """`model.apply`, every device of the mesh's axis "model" computing its own part of each layer.

    With two devices and the network of 2012 that is the scheme of its section 3.5 and figure 2:
    towers exchange their activations before the third convolution and every fully-connected layer,
    and nowhere else. Equal to the grouped convolutions on one device, gradients too.

    Args:
      params: of `model`, split as `TOWER_RULES` say.
      x, row_keys: as for `Head`, split over the axes "data" and "fsdp".

    Returns:
      logits `[B, classes]`.
    """
    shards = int(jax.sharding.get_abstract_mesh().shape.get(TOWERS, 1))
    own = model.clone(axis=TOWERS, shards=shards) if shards > 1 else model

    def apply(params: Any, x: jax.Array, keys: jax.Array | None) -> Any:
        return own.apply({"params": params}, x, keys)

    if shards == 1:
        return apply(params, x, row_keys)
    specs = jax.tree_util.tree_map_with_path(
        lambda path, _: next(
            rule for pattern, rule in TOWER_RULES if re.search(pattern, path_name(path))
        ),
        params,
    )
    return jax.shard_map(
        apply, in_specs=(specs, BATCH_SPEC, BATCH_SPEC), out_specs=P(*BATCH_SPEC, TOWERS)
    )(params, x, row_keys)
