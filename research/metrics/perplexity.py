"""Perplexity of a text longer than a model's context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def windows(tokens: np.ndarray, length: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping windows in which every token but the first counts exactly once.

    Each window begins `stride` tokens after the one before and counts the targets that had not been
    counted yet, so that (but for the first window's) they have at least `length` - `stride` tokens
    before them. The stride changes the number, and belongs beside it.

    Args:
      tokens: `[N]`.
      length: T of a window.
      stride: at most `length`; smaller is slower and gives lower perplexities.

    Returns:
      Rows `[W, T + 1]` and weights `[W, T]` of their targets `rows[:, 1:]`, 0 or 1.

    Raises:
      ValueError: the stride is longer than a window.
    """
    if not 0 < stride <= length:
        raise ValueError(f"a stride of {stride} leaves out tokens of windows of {length}")
    rows, weights, counted = [], [], 1  # the first token has nothing before it
    for begin in range(0, max(len(tokens) - 1 - length + stride, 1), stride):
        row = np.zeros(length + 1, np.int32)
        piece = tokens[begin : begin + length + 1]
        row[: len(piece)] = piece
        position = begin + 1 + np.arange(length)
        rows.append(row)
        weights.append((position >= counted) & (position < len(tokens)))
        counted = max(counted, begin + length + 1)
    return np.stack(rows), np.stack(weights).astype(np.float32)


def mean_loss(
    losses: Callable[[np.ndarray], Any], tokens: np.ndarray, length: int, stride: int
) -> float:
    """Mean nats a token.

    Args:
      losses: `rows [W, T + 1] -> [W, T]`, nats of `rows[:, 1:]`, of all windows at once: through
        `training.map_batches`, a few at a time.
      tokens, length, stride: see `windows`.
    """
    rows, weights = windows(tokens, length, stride)
    nats = np.asarray(losses(rows), np.float64)
    return float(np.sum(nats * weights) / np.sum(weights, dtype=np.float64))


def per_unit(nats_per_token: float, tokens: int, units: int) -> float:
    """Nats a word, character or byte: the unit a data set is reported in, of which it has `units`.

    Token losses of different vocabularies do not compare; these do.
    """
    return nats_per_token * tokens / units
