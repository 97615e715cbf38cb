"""How well samples are predicted without a network: by counts, and by linear prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from research.data.audio import mu_law
from research.metrics import ngram

_UNIFORM = 1e-3  # share of a uniform distribution in that of linear prediction


def count_losses(
    train: Sequence[np.ndarray], test: Sequence[np.ndarray], orders: Sequence[int], bins: int
) -> dict[int, float]:
    """Nats a sample by counts of n-grams, n -> nats; n = 1 knows how frequent each value is.

    Args:
      train, test: clips `[N]` of bins.
      orders: values of n.
      bins: Q.
    """
    counted, heard = np.concatenate(train), np.concatenate(test)
    return {n: float(ngram.log_losses(counted, heard, n, bins).mean()) for n in orders}


def linear_prediction_loss(
    train: Sequence[np.ndarray],
    test: Sequence[np.ndarray],
    bins: int,
    taps: int = 32,
    span: int = 32,
) -> float:
    """Nats a sample of a Laplace distribution around a linear prediction, integrated over bins.

    Its scale is c_0 + c_1 mean |error| of the last `span` samples. The taps are those of least
    squares, c_0 and c_1 the best of a grid, both on the training clips.

    Args:
      train, test: clips `[N]` of bins.
      bins: Q.
      taps: samples before the predicted one; silence before a clip.
      span: see above.
    """
    inputs, outputs = _history(train, bins, taps)
    weights = np.linalg.lstsq(inputs, outputs, rcond=None)[0]
    grid = [(c0, c1) for c0 in (1e-3, 3e-3, 1e-2) for c1 in (0.3, 0.5, 0.7, 1.0, 1.5)]
    fit = [_nats(train, weights, bins, span, *scale).mean() for scale in grid]
    return float(_nats(test, weights, bins, span, *grid[int(np.argmin(fit))]).mean())


def _history(clips: Sequence[np.ndarray], bins: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """What comes before each sample `[N, taps]`, and the sample `[N]`."""
    before, now = [], []
    for clip in clips:
        sound = mu_law.decode(clip, bins).astype(np.float64)
        padded = np.pad(sound, (taps, 0))
        before.append(np.lib.stride_tricks.sliding_window_view(padded, taps)[:-1])
        now.append(sound)
    return np.concatenate(before), np.concatenate(now)


def _nats(
    clips: Sequence[np.ndarray], weights: np.ndarray, bins: int, span: int, c0: float, c1: float
) -> np.ndarray:
    edges = np.concatenate([[-np.inf], mu_law.edges(bins), [np.inf]])
    found = []
    for clip in clips:
        inputs, outputs = _history([clip], bins, len(weights))
        predicted = inputs @ weights
        errors = np.pad(np.abs(outputs - predicted), (span, 0))
        totals = np.cumsum(errors)
        recent = (totals[span - 1 : -1] - np.concatenate([[0.0], totals[: -span - 1]])) / span
        scale = c0 + c1 * recent
        low, high = ((edges[clip + i] - predicted) / scale for i in (0, 1))
        share = (1 - _UNIFORM) * (_laplace(high) - _laplace(low)) + _UNIFORM / bins
        found.append(-np.log(share))
    return np.concatenate(found)


def _laplace(x: np.ndarray) -> np.ndarray:
    """The distribution function."""
    tail = 0.5 * np.exp(-np.abs(x))
    return np.where(x < 0, tail, 1 - tail)
