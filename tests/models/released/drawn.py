"""Weights by name for comparisons with other libraries: drawn anew wherever they are needed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np


def drawn(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Arrays of these shapes, each decided by its name: of a deviation that keeps signals alive."""
    return {name: _array(name, tuple(shape)) for name, shape in shapes.items()}


def _array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) < 2:  # biases, gains, means and variances: all may be between a half and one
        return rng.uniform(0.5, 1.0, shape).astype(np.float32)
    inputs = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
    return (rng.standard_normal(shape) / np.sqrt(inputs)).astype(np.float32)
