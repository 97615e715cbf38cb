"""Companding by the mu-law of ITU-T G.711, in as many bins as wanted (NumPy)."""

from __future__ import annotations

import numpy as np


def compress(x: np.ndarray, bins: int = 256) -> np.ndarray:
    """f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu) of samples in -1 to 1, with mu = bins - 1."""
    mu = bins - 1
    return np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)


def expand(y: np.ndarray, bins: int = 256) -> np.ndarray:
    """The inverse of `compress`."""
    mu = bins - 1
    return np.sign(y) * np.expm1(np.abs(y) * np.log1p(mu)) / mu


def encode(x: np.ndarray, bins: int = 256) -> np.ndarray:
    """Samples in -1 to 1, clipped to them, as one of `bins` numbers, int32.

    The range of f is cut in bins of one width; bin q is from 2 q / bins - 1 on.
    """
    y = compress(np.clip(np.asarray(x, np.float64), -1.0, 1.0), bins)
    return np.minimum((y + 1) / 2 * bins, bins - 1).astype(np.int32)


def decode(q: np.ndarray, bins: int = 256) -> np.ndarray:
    """The middle of each bin's range of f, expanded: float32 in -1 to 1."""
    y = 2 * (np.asarray(q, np.float64) + 0.5) / bins - 1
    return expand(y, bins).astype(np.float32)


def edges(bins: int = 256) -> np.ndarray:
    """Where bins meet `[bins - 1]`, as samples."""
    return expand(2 * np.arange(1, bins) / bins - 1, bins)
