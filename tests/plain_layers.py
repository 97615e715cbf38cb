"""Layers of image networks in NumPy (float64), to write networks out with in tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def conv(x: Array, kernel: Array, stride: int, padding: Sequence[tuple[int, int]]) -> Array:
    """Cross-correlation of `[B, H, W, C]` with `[h, w, C, F]`, after padding rows and columns."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    height, width = kernel.shape[:2]
    rows, columns = ((x.shape[1] - height) // stride + 1, (x.shape[2] - width) // stride + 1)
    out = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            seen = x[:, i : i + stride * rows : stride, j : j + stride * columns : stride]
            out += seen @ kernel[i, j]
    return out


def conv_transpose(
    x: Array, kernel: Array, stride: int, padding: Sequence[tuple[int, int]]
) -> Array:
    """Fractionally-strided convolution: zeros between the pixels, then `conv` at stride 1."""
    batch, rows, columns, channels = x.shape
    spread = np.zeros((batch, stride * (rows - 1) + 1, stride * (columns - 1) + 1, channels))
    spread[:, ::stride, ::stride] = x
    return conv(spread, kernel, 1, padding)


def batch_norm(
    params: Mapping[str, Array], x: Array, stats: Mapping[str, Array] | None, epsilon: float
) -> Array:
    """By running statistics, or without them by those of all but the last axis."""
    axes = tuple(range(x.ndim - 1))
    mean, var = (x.mean(axes), x.var(axes)) if stats is None else (stats["mean"], stats["var"])
    return (x - mean) / np.sqrt(var + epsilon) * params["scale"] + params["bias"]


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def max_pool(x: Array, window: int, stride: int) -> Array:
    """Maxima of whole windows."""
    views = np.lib.stride_tricks.sliding_window_view(x, (window, window), (1, 2))
    return views[:, ::stride, ::stride].max((-2, -1))


def float64(tree: Any) -> Any:
    """Nested parameters as NumPy's."""
    if isinstance(tree, Mapping):
        return {name: float64(value) for name, value in tree.items()}
    return np.asarray(tree, np.float64)
