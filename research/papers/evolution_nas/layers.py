"""The networks of 2017: a chain of convolutions with skips, and its eleven mutations.

(Real et al., Large-Scale Evolution of Image Classifiers, section 3.2.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from research.nn.conv import Conv


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution, or an identity, in the chain.

    Attributes:
      number: its name, for good: weights are inherited by it.
      height, width: of the filters, odd; 0 for an identity.
      channels: of its output.
      stride: a power of 2.
      nonlinear: whether batch normalization and ReLU follow.
    """

    number: int
    height: int
    width: int
    channels: int
    stride: int
    nonlinear: bool


@dataclasses.dataclass(frozen=True)
class Layers:
    """The DNA of a network.

    Attributes:
      chain: layers in their order.
      skips: pairs (from, to) of layers' numbers: what the first puts out is added to what the
        second puts out.
      learning_rate: of its training.
      next_number: of a layer that is inserted.
      inherits: False of a child whose weights have been reset.
    """

    chain: tuple[Layer, ...]
    skips: tuple[tuple[int, int], ...]
    learning_rate: float
    next_number: int
    inherits: bool = True

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Layers:
        return cls(
            **{
                **value,
                "chain": tuple(Layer(**layer) for layer in value["chain"]),
                "skips": tuple((int(a), int(b)) for a, b in value["skips"]),
            }
        )


def starting_point(learning_rate: float) -> Layers:
    """«A single-layer model with no convolutions»: linear regression on the pixels."""
    return Layers((), (), learning_rate, 0)


class LayeredNetwork(nn.Module):
    """The network of a DNA; a layer's weights have its number in their names."""

    layers: Layers
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[B, K]` of images `[B, H, W, C]`."""
        x = images
        outputs: dict[int, jax.Array] = {}
        for layer in self.layers.chain:
            if layer.height:
                name = f"layer_{layer.number}"
                strides = (layer.stride, layer.stride)
                kernel = (layer.height, layer.width)
                x = Conv(layer.channels, kernel, strides, padding="SAME", name=name)(x)
                if layer.nonlinear:
                    norm = nn.BatchNorm(not train, momentum=0.9, name=f"{name}_norm")
                    x = nn.relu(norm(x))
            for source, target in self.layers.skips:
                if target == layer.number:
                    x = x + fitted(outputs[source], x.shape)
            outputs[layer.number] = x
        flat = x.reshape(len(x), -1)
        return nn.Dense(self.num_classes, name="classes")(flat)


def fitted(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """A skip's output at the size of where it ends: nearest pixels, channels cut off or zero."""
    batch, height, width, channels = shape
    if x.shape[1:3] != (height, width):
        x = jax.image.resize(x, (batch, height, width, x.shape[-1]), "nearest")
    more = max(0, channels - x.shape[-1])
    return jnp.pad(x[..., :channels], ((0, 0), (0, 0), (0, 0), (0, more)))


# The mutations. Each takes a DNA and a random generator, and gives another DNA; where there is
# nothing that it could change, None.

Mutation = Callable[[Layers, np.random.Generator], "Layers | None"]


def alter_learning_rate(dna: Layers, rng: np.random.Generator) -> Layers:
    return dataclasses.replace(dna, learning_rate=dna.learning_rate * _half_to_twice(rng))


def identity(dna: Layers, rng: np.random.Generator) -> Layers:
    """«Keep training.»"""
    return dna


def reset_weights(dna: Layers, rng: np.random.Generator) -> Layers:
    return dataclasses.replace(dna, inherits=False)


def insert_convolution(dna: Layers, rng: np.random.Generator) -> Layers:
    """3x3, stride 1 or 2, as many channels as its input, with or without batch norm and ReLU."""
    place = int(rng.integers(len(dna.chain) + 1))
    before = [layer.channels for layer in dna.chain[:place]]
    channels = before[-1] if before else FIRST_CHANNELS
    layer = Layer(dna.next_number, 3, 3, channels, int(rng.choice([1, 2])), bool(rng.integers(2)))
    return _inserted(dna, place, layer)


def remove_convolution(dna: Layers, rng: np.random.Generator) -> Layers | None:
    places = _convolutions(dna)
    if not places:
        return None
    removed = dna.chain[rng.choice(places)]
    return dataclasses.replace(
        dna,
        chain=tuple(layer for layer in dna.chain if layer != removed),
        skips=tuple(skip for skip in dna.skips if removed.number not in skip),
    )


def alter_stride(dna: Layers, rng: np.random.Generator) -> Layers | None:
    def change(layer: Layer) -> Layer:
        factor = 2.0 if layer.stride == 1 else float(rng.choice([0.5, 2.0]))
        return dataclasses.replace(layer, stride=int(layer.stride * factor))

    return _changed(dna, rng, change)


def alter_number_of_channels(dna: Layers, rng: np.random.Generator) -> Layers | None:
    def change(layer: Layer) -> Layer:
        channels = max(1, round(layer.channels * _half_to_twice(rng)))
        return dataclasses.replace(layer, channels=channels)

    return _changed(dna, rng, change)


def alter_filter_size(dna: Layers, rng: np.random.Generator) -> Layers | None:
    """Its height or its width, to another odd number."""

    def change(layer: Layer) -> Layer:
        side = str(rng.choice(["height", "width"]))
        old = getattr(layer, side)
        size = old + 2 if old == 1 else old + int(rng.choice([-2, 2]))
        return dataclasses.replace(layer, **{side: size})

    return _changed(dna, rng, change)


def insert_one_to_one(dna: Layers, rng: np.random.Generator) -> Layers:
    place = int(rng.integers(len(dna.chain) + 1))
    return _inserted(dna, place, Layer(dna.next_number, 0, 0, 0, 1, False))


def add_skip(dna: Layers, rng: np.random.Generator) -> Layers | None:
    numbers = [layer.number for layer in dna.chain]
    pairs = [
        (a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :] if (a, b) not in dna.skips
    ]
    if not pairs:
        return None
    return dataclasses.replace(dna, skips=(*dna.skips, pairs[rng.integers(len(pairs))]))


def remove_skip(dna: Layers, rng: np.random.Generator) -> Layers | None:
    if not dna.skips:
        return None
    removed = dna.skips[rng.integers(len(dna.skips))]
    return dataclasses.replace(dna, skips=tuple(skip for skip in dna.skips if skip != removed))


MUTATIONS: tuple[Mutation, ...] = (
    alter_learning_rate,
    identity,
    reset_weights,
    insert_convolution,
    remove_convolution,
    alter_stride,
    alter_number_of_channels,
    alter_filter_size,
    insert_one_to_one,
    add_skip,
    remove_skip,
)
FIRST_CHANNELS = 16  # of a convolution on the pixels; not in the paper
_MAX_STRIDE = 16  # of all layers together: a map has a pixel at least


def mutate(dna: Layers, rng: np.random.Generator) -> Layers:
    """One of the eleven mutations, drawn until one can be made."""
    dna = dataclasses.replace(dna, inherits=True)
    while True:
        child = MUTATIONS[rng.integers(len(MUTATIONS))](dna, rng)
        if child is not None and math.prod(la.stride for la in child.chain) <= _MAX_STRIDE:
            return child


def _half_to_twice(rng: np.random.Generator) -> float:
    """A factor whose logarithm is uniform."""
    return float(2 ** rng.uniform(-1, 1))


def _convolutions(dna: Layers) -> list[int]:
    return [place for place, layer in enumerate(dna.chain) if layer.height]


def _changed(
    dna: Layers, rng: np.random.Generator, change: Callable[[Layer], Layer]
) -> Layers | None:
    places = _convolutions(dna)
    if not places:
        return None
    place = rng.choice(places)
    chain = (*dna.chain[:place], change(dna.chain[place]), *dna.chain[place + 1 :])
    return dataclasses.replace(dna, chain=chain)


def _inserted(dna: Layers, place: int, layer: Layer) -> Layers:
    if not layer.height:  # an identity has the channels of its input
        before = [found.channels for found in dna.chain[:place]]
        layer = dataclasses.replace(layer, channels=before[-1] if before else FIRST_CHANNELS)
    return dataclasses.replace(
        dna,
        chain=(*dna.chain[:place], layer, *dna.chain[place:]),
        next_number=dna.next_number + 1,
    )
