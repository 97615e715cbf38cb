"""Networks of two cells whose architecture is an array: one compiled program is all of them.

Every operation that a search may choose is computed from one form, and the one chosen is taken. So
many networks of different cells train side by side under `vmap`, and none needs a compilation.

It is written in matrix products, which are as fast in loops and under `vmap` as outside (unlike
convolutions on a CPU), and which suit maps of few pixels alone: a filter for every channel becomes
a matrix over all pixels. Its reduction cells halve their inputs before anything else is done.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.models.nas_cells.amoeba_net import OPERATIONS, SEPARABLE

_SIZE = 7  # of the largest filter
_SOURCES = ("identity", "separable", "avg_3x3", "max_3x3", "conv_1x7_7x1")


class Cells(flax.struct.PyTreeNode):
    """The architecture of a network: a normal and a reduction cell, of K combinations each.

    Attributes:
      operations: `[2, K, 2]` int32, into `OPERATIONS`.
      inputs: `[2, K, 2]` int32, hidden states; combination k makes state k + 2.
    """

    operations: jax.Array
    inputs: jax.Array


def filter_masks() -> np.ndarray:
    """Which entries `[8, 49]` of a 7x7 filter each operation has; none, where it is no filter."""
    masks = np.zeros((len(OPERATIONS), _SIZE, _SIZE), np.float32)
    for name, (size, dilation) in SEPARABLE.items():
        if name in OPERATIONS:
            taps = _SIZE // 2 + dilation * (np.arange(size) - size // 2)
            masks[OPERATIONS.index(name)][np.ix_(taps, taps)] = 1
    return masks.reshape(len(OPERATIONS), -1)


def _sources() -> np.ndarray:
    """What each operation takes `[8]`: an index into `_SOURCES`."""
    names = ["separable" if name in SEPARABLE else name for name in OPERATIONS]
    return np.array([_SOURCES.index(name) for name in names])


@functools.lru_cache
def _taps(height: int, width: int) -> np.ndarray:
    """Entry `[P, Q]` of a 7x7 filter that pixel q has in the sum of pixel p; 49 for none."""
    rows, columns = np.divmod(np.arange(height * width), width)
    down = rows[None, :] - rows[:, None] + _SIZE // 2
    right = columns[None, :] - columns[:, None] + _SIZE // 2
    inside = (down >= 0) & (down < _SIZE) & (right >= 0) & (right < _SIZE)
    return np.where(inside, down * _SIZE + right, _SIZE**2)


def filter_channels(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Filters every channel of `[B, H, W, C]` with its own `[49, C]`; outside there are zeros."""
    height, width, channels = x.shape[1:]
    padded = jnp.concatenate([kernel, jnp.zeros((1, channels))])
    matrices = padded[_taps(height, width)]  # [P, Q, C]
    flat = x.reshape(len(x), -1, channels)
    return jnp.einsum("bqc,pqc->bpc", flat, matrices).reshape(x.shape)


def filter_line(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves `[B, H, W, C]` along W with `[7, C, D]`; zeros outside of the image."""
    width = x.shape[2]
    offset = np.arange(width)[None, :] - np.arange(width)[:, None] + _SIZE // 2
    tap = np.where((offset >= 0) & (offset < _SIZE), offset, _SIZE)
    matrices = jnp.concatenate([kernel, jnp.zeros((1, *kernel.shape[1:]))])[tap]  # [W, V, C, D]
    return jnp.einsum("bhvc,wvcd->bhwd", x, matrices)


def average(x: jax.Array) -> jax.Array:
    """Means over 3x3 pixels, of those inside of the image."""
    height, width = x.shape[1:3]
    near = np.zeros((_SIZE, _SIZE), np.float32)
    near[2:5, 2:5] = 1
    matrix = np.append(near.ravel(), 0)[_taps(height, width)]
    matrix /= matrix.sum(1, keepdims=True)
    flat = x.reshape(len(x), -1, x.shape[-1])
    return jnp.einsum("bqc,pq->bpc", flat, matrix).reshape(x.shape)


def maximum(x: jax.Array) -> jax.Array:
    """Largest entries over 3x3 pixels."""
    for axis in (1, 2):
        size = x.shape[axis]
        pads = [(1, 1) if i == axis else (0, 0) for i in range(4)]
        padded = jnp.pad(x, pads, constant_values=-jnp.inf)
        parts = [jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)]
        x = functools.reduce(jnp.maximum, parts)
    return x


class _Norm(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        return nn.BatchNorm(not train, momentum=0.8, epsilon=1e-3)(x)


class MaskedOperation(nn.Module):
    """All operations of a combination; `operation`, an index, says whose result is taken."""

    train: bool

    @nn.compact
    def __call__(self, x: jax.Array, operation: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        normal, lecun = nn.initializers.normal(1.0), nn.initializers.lecun_normal()
        mask = jnp.asarray(filter_masks())[operation]
        scale = mask / jnp.sqrt(jnp.maximum(mask.sum(), 1))
        separable = line = x
        for i in range(2):
            kernel = self.param(f"filter_{i}", normal, (_SIZE**2, channels))
            separable = filter_channels(nn.relu(separable), kernel * scale[:, None])
            separable = nn.Dense(channels, use_bias=False, name=f"pointwise_{i}")(separable)
            separable = _Norm(name=f"norm_{i}")(separable, self.train)
        for i in range(2):
            kernel = self.param(f"line_{i}", lecun, (_SIZE, channels, channels))
            line = filter_line(nn.relu(line), kernel)
            line = _Norm(name=f"line_norm_{i}")(line, self.train).swapaxes(1, 2)
        taken = jax.nn.one_hot(jnp.asarray(_sources())[operation], len(_SOURCES))
        results = (x, separable, average(x), maximum(x), line)
        return sum(share * result for share, result in zip(taken, results, strict=True))


class _Combination(nn.Module):
    """Two operations on two states and their sum, as the body of a scan."""

    train: bool

    @nn.compact
    def __call__(self, carry: Any, choice: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        (states, number), (operations, inputs) = carry, choice
        # By a product: the gradient of an index is slow on a CPU.
        chosen = jnp.einsum("sn,n...->s...", jax.nn.one_hot(inputs, len(states)), states)
        both = nn.vmap(
            MaskedOperation,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True},
        )(self.train, name="pair")(chosen, operations)
        result = both.sum(0)
        return (states.at[number].set(result), number + 1), result


class MaskedCell(nn.Module):
    """A cell of any architecture; what is used within it is zero in its output."""

    features: int
    reduces: bool

    @nn.compact
    def __call__(
        self,
        current: jax.Array,
        previous: jax.Array,
        operations: jax.Array,
        inputs: jax.Array,
        train: bool,
    ) -> jax.Array:
        given = []
        size = current.shape[1] // (2 if self.reduces else 1)
        for name, x in (("current", current), ("previous", previous)):
            if x.shape[1] != size:
                batch, height, width, channels = x.shape
                ratio = height // size
                x = x.reshape(batch, size, ratio, width // ratio, ratio, channels).mean((2, 4))
            x = nn.Dense(self.features, use_bias=False, name=name)(nn.relu(x))
            given.append(_Norm(name=f"{name}_norm")(x, train))
        count = len(operations)
        states = jnp.stack([*given, *[jnp.zeros_like(given[0])] * count])
        combinations = nn.scan(
            _Combination,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True},
        )
        _, made = combinations(train, name="combinations")(
            (states, jnp.int32(2)), (operations, inputs)
        )
        used = (inputs.reshape(-1, 1) == jnp.arange(count) + 2).any(0)
        made = jnp.moveaxis(made, 0, -2) * ~used[:, None]  # [B, H, W, K, C]
        return made.reshape(*made.shape[:3], -1)


class MaskedNetwork(nn.Module):
    """A classifier of two cells that are arguments.

    Attributes:
      num_classes: K.
      normal_cells: N, in each of the stacks.
      features: F, of the first stack.
      reductions: reduction cells.
      shrink: factor by which the first convolution makes images smaller.
    """

    num_classes: int
    normal_cells: int
    features: int
    reductions: int
    shrink: int

    @nn.compact
    def __call__(self, images: jax.Array, cells: Cells, train: bool = False) -> jax.Array:
        """Logits `[B, K]` of images `[B, H, W, C]`."""
        x = images
        if self.shrink > 1:
            batch, height, width, channels = x.shape
            s = self.shrink
            x = x.reshape(batch, height // s, s, width // s, s, channels)
            x = x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // s, width // s, -1)
        x = _neighbours(x)
        x = _Norm(name="stem_norm")(nn.Dense(self.features, use_bias=False, name="stem")(x), train)
        previous, features, count = x, self.features, 0
        kinds: Sequence[int]
        for stack in range(self.reductions + 1):
            kinds = [0] * self.normal_cells
            if stack:
                features, kinds = 2 * features, [1, *kinds]
            for kind in kinds:
                cell = MaskedCell(features, bool(kind), name=f"cell_{count}")
                operations, inputs = cells.operations[kind], cells.inputs[kind]
                x, previous = cell(x, previous, operations, inputs, train), x
                count += 1
        pooled = nn.relu(x).mean((1, 2))
        return nn.Dense(self.num_classes, name="classes")(pooled)


def _neighbours(x: jax.Array) -> jax.Array:
    """Pixels with the eight around them: `[B, H, W, 9 C]`."""
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifts, axis=-1)


def fresh(shapes: Any, key: jax.Array) -> Any:
    """Variables of a `MaskedNetwork`, or a state that holds them, as they are before any training.

    Weights are normal, of deviation 1 / sqrt(fan in), and all of one draw: to compile a draw for
    each takes longer than to compile the network.

    Args:
      shapes: of what is made. Gains and variances are one, all that is no weight is zero.
      key: of the draw.
    """
    named = jax.tree_util.tree_flatten_with_path(shapes)[0]
    total = sum(int(np.prod(leaf.shape)) for _, leaf in named)
    drawn, values, first = jax.random.normal(key, (total,)), [], 0
    for path, leaf in named:
        names = [str(getattr(entry, "key", getattr(entry, "name", entry))) for entry in path]
        size = int(np.prod(leaf.shape))
        if names[-1] in ("scale", "var"):
            value = jnp.ones(leaf.shape, leaf.dtype)
        elif names[-1].startswith(("kernel", "filter", "line")) and "params" in names:
            fan_in = {"k": leaf.shape[-2], "f": 1, "l": _SIZE * leaf.shape[-2]}[names[-1][0]]
            value = drawn[first : first + size].reshape(leaf.shape) / np.sqrt(fan_in)
        else:
            value = jnp.zeros(leaf.shape, leaf.dtype)
        values.append(value)
        first += size
    return jax.tree.unflatten(jax.tree.structure(shapes), values)
