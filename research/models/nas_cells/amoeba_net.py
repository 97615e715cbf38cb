"""AmoebaNet (Real et al., 2018): a network whose two cells are values, with those published.

A cell combines hidden states in pairs: it applies an operation to each of two and adds the results.
States 0 and 1 are the outputs of the last cell and of the one before; what no combination uses is
concatenated. The skeleton is that of NASNet (Zoph et al., 2017): N normal cells, a reduction cell
that halves height and width and doubles the channels, N normal cells, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from research.nn.conv import Conv

# What a search chooses from (figure 1 of the paper, caption).
OPERATIONS = (
    "identity",
    "sep_3x3",
    "sep_5x5",
    "sep_7x7",
    "avg_3x3",
    "max_3x3",
    "dil_3x3",
    "conv_1x7_7x1",
)
# Size and dilation of separable convolutions, each applied twice; size of pools and convolutions.
SEPARABLE = {"sep_3x3": (3, 1), "sep_5x5": (5, 1), "sep_7x7": (7, 1)}
SEPARABLE |= {"dil_3x3": (3, 2), "dil_5x5": (5, 2)}
POOLS = {"avg_3x3": 3, "max_3x3": 3, "max_2x2": 2}
CONVOLUTIONS = {"conv_1x1": 1, "conv_3x3": 3}


class CellGenotype(NamedTuple):
    """A cell of K combinations.

    Attributes:
      operations: K pairs of names.
      inputs: K pairs of hidden states; combination k makes state k + 2 and uses earlier ones alone.
    """

    operations: Sequence[tuple[str, str]]
    inputs: Sequence[tuple[int, int]]

    @property
    def unused(self) -> tuple[int, ...]:
        """States made in the cell that no combination uses: their concatenation is its output."""
        used = {state for pair in self.inputs for state in pair}
        return tuple(state for state in range(2, len(self.inputs) + 2) if state not in used)


class Genotype(NamedTuple):
    """The two cells of a network."""

    normal: CellGenotype
    reduction: CellGenotype


def _cell(operations: str, inputs: str) -> CellGenotype:
    """A cell from words: «a b» for operations, «01» for the states of one combination."""
    names = operations.split()
    return CellGenotype(
        tuple(zip(names[::2], names[1::2], strict=True)),
        tuple((int(pair[0]), int(pair[1])) for pair in inputs.split()),
    )


# As the authors have released them for TPUs. There a few cells also concatenate states that are
# used, which makes them larger than the paper says they are; here none does.
PUBLISHED = {
    "amoeba_net_a": Genotype(
        _cell(
            "avg_3x3 max_3x3  sep_3x3 identity  identity avg_3x3  sep_3x3 sep_5x5  avg_3x3 sep_3x3",
            "00 11 01 02 50",
        ),
        _cell(
            "sep_3x3 avg_3x3  max_3x3 sep_7x7  max_3x3 max_3x3  sep_3x3 conv_1x7_7x1  "
            "avg_3x3 sep_7x7",
            "10 02 10 40 10",
        ),
    ),
    "amoeba_net_b": Genotype(
        _cell(
            "conv_1x1 max_3x3  identity sep_3x3  conv_1x1 sep_3x3  conv_1x1 identity  "
            "avg_3x3 conv_1x1",
            "11 10 10 22 15",
        ),
        _cell(
            "max_2x2 max_3x3  identity conv_3x3  dil_5x5 max_3x3  identity sep_3x3  "
            "avg_3x3 conv_1x1",
            "00 21 22 31 43",
        ),
    ),
    "amoeba_net_c": Genotype(
        _cell(
            "avg_3x3 sep_3x3  identity sep_3x3  avg_3x3 sep_3x3  identity sep_3x3  avg_3x3 sep_3x3",
            "00 00 21 01 30",
        ),
        _cell(
            "max_3x3 max_3x3  sep_7x7 sep_3x3  sep_7x7 max_3x3  sep_5x5 sep_5x5  max_3x3 sep_3x3",
            "00 20 01 44 11",
        ),
    ),
    "amoeba_net_d": Genotype(
        _cell(
            "conv_1x1 max_3x3  identity conv_1x7_7x1  conv_1x1 conv_1x7_7x1  max_3x3 identity  "
            "avg_3x3 conv_1x1",
            "11 10 00 22 15",
        ),
        _cell(
            "max_2x2 max_3x3  identity conv_3x3  conv_1x7_7x1 max_3x3  identity max_2x2  "
            "avg_3x3 conv_1x1",
            "00 21 22 31 23",
        ),
    ),
}


class _Norm(nn.Module):
    """Batch normalization as every layer has it."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        return nn.BatchNorm(not train, momentum=0.9, epsilon=1e-3, dtype=x.dtype)(x)


class _ReluConvNorm(nn.Module):
    """ReLU, convolution, batch normalization."""

    features: int
    kernel: tuple[int, int] = (1, 1)
    strides: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        pads = tuple((k // 2, k // 2) for k in self.kernel)
        conv = Conv(
            self.features,
            self.kernel,
            (self.strides, self.strides),
            padding=pads,
            use_bias=False,
            dtype=x.dtype,
            name="conv",
        )
        return _Norm(name="norm")(conv(nn.relu(x)), train)


class _Separable(nn.Module):
    """ReLU, a filter for every channel and 1x1 convolution, batch normalization; twice."""

    features: int
    size: int
    dilation: int
    strides: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        pad = self.dilation * (self.size // 2)
        for i, strides in enumerate((self.strides, 1)):
            channels = x.shape[-1]
            x = nn.Conv(
                channels,
                (self.size, self.size),
                (strides, strides),
                padding=((pad, pad), (pad, pad)),
                kernel_dilation=self.dilation,
                feature_group_count=channels,
                use_bias=False,
                dtype=x.dtype,
                name=f"depthwise_{i}",
            )(nn.relu(x))
            x = Conv(self.features, (1, 1), use_bias=False, dtype=x.dtype, name=f"pointwise_{i}")(x)
            x = _Norm(name=f"norm_{i}")(x, train)
        return x


class FactorizedReduction(nn.Module):
    """Halves height and width: two 1x1 convolutions, the second of pixels one further on."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = nn.relu(x)
        shifted = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
        half = self.features // 2
        parts = [
            Conv(features, (1, 1), use_bias=False, dtype=x.dtype)(part[:, ::2, ::2])
            for features, part in ((half, x), (self.features - half, shifted))
        ]
        return _Norm()(jnp.concatenate(parts, axis=-1), train)


class Operation(nn.Module):
    """One operation of a combination, by its name."""

    name_of: str
    features: int
    strides: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        name, strides = self.name_of, self.strides
        if name in SEPARABLE:
            module = _Separable(self.features, *SEPARABLE[name], strides, name="separable")
            return module(x, train)
        if name in CONVOLUTIONS:
            size = CONVOLUTIONS[name]
            return _ReluConvNorm(self.features, (size, size), strides)(x, train)
        if name == "conv_1x7_7x1":
            x = _ReluConvNorm(self.features, (1, 7), strides, name="across")(x, train)
            return _ReluConvNorm(self.features, (7, 1), name="down")(x, train)
        if name in POOLS:
            return pool(x, name, strides)
        if strides > 1:  # an identity that has to halve its input
            return _ReluConvNorm(self.features, strides=strides)(x, train)
        return x


def pool(x: jax.Array, name: str, strides: int) -> jax.Array:
    """The largest entries, or means of those inside of the image."""
    size = POOLS[name]
    pads = ((size // 2, size // 2),) * 2 if size % 2 else ((0, 1), (0, 1))
    steps = (strides, strides)
    if name.startswith("max"):
        return nn.max_pool(x, (size, size), steps, pads)
    return nn.avg_pool(x, (size, size), steps, pads, count_include_pad=False)


class Cell(nn.Module):
    """A cell: combinations of hidden states, and the concatenation of those that none uses."""

    genotype: CellGenotype
    features: int
    reduces: bool

    @nn.compact
    def __call__(self, current: jax.Array, previous: jax.Array, train: bool) -> jax.Array:
        if previous.shape[1] != current.shape[1]:
            previous = FactorizedReduction(self.features, name="previous")(previous, train)
        elif previous.shape[-1] != self.features:
            previous = _ReluConvNorm(self.features, name="previous")(previous, train)
        current = _ReluConvNorm(self.features, name="current")(current, train)
        states = [current, previous]
        for k, (names, pair) in enumerate(
            zip(self.genotype.operations, self.genotype.inputs, strict=True)
        ):
            results = [
                Operation(
                    name, self.features, 2 if self.reduces and state < 2 else 1, name=f"op_{k}_{s}"
                )(states[state], train)
                for s, (name, state) in enumerate(zip(names, pair, strict=True))
            ]
            states.append(results[0] + results[1])
        return jnp.concatenate([states[i] for i in self.genotype.unused], axis=-1)


class AmoebaNet(nn.Module):
    """A classifier made of two cells.

    Attributes:
      genotype: the cells.
      num_classes: K.
      normal_cells: N, in each of the stacks.
      features: F, of the convolutions of the first stack.
      reductions: reduction cells; 2 for images of 32 pixels.
      stem_multiple: channels of the first convolution, in F.
    """

    genotype: Genotype
    num_classes: int
    normal_cells: int
    features: int
    reductions: int = 2
    stem_multiple: int = 3

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[B, K]` of images `[B, H, W, C]`."""
        x = Conv(self.stem_multiple * self.features, (3, 3), use_bias=False, name="stem")(images)
        x = _Norm(name="stem_norm")(x, train)
        previous, features, count = x, self.features, 0
        for stack in range(self.reductions + 1):
            cells = [(self.genotype.normal, False)] * self.normal_cells
            if stack:
                features *= 2
                cells = [(self.genotype.reduction, True), *cells]
            for genotype, reduces in cells:
                cell = Cell(genotype, features, reduces, name=f"cell_{count}")
                x, previous = cell(x, previous, train), x
                count += 1
        pooled = nn.relu(x).mean((1, 2))
        return nn.Dense(self.num_classes, dtype=jnp.float32, name="classes")(pooled)
