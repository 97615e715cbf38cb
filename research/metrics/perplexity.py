"""Perplexity of a text longer than a model's context."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def windows(
    tokens: np.ndarray, length: int, stride: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of overlapping windows in which every token but the first counts exactly once.

    Each window begins `stride` tokens after the one before and counts the targets that had not been
    counted yet, so that (but for the first window's) they have at least `length` - `stride` tokens
    before them. The stride changes the number, and belongs beside it.

    Args:
      tokens: `[N]`.
      length: T of a window.
      stride: at most `length`; smaller is slower and gives lower perplexities.
      batch_size: B; the last batch is filled up with windows that count nothing.

    Yields:
      rows `[B, T + 1]` and weights `[B, T]` of their targets `rows[:, 1:]`.
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
    for first in range(0, len(rows), batch_size):
        missing = batch_size - len(rows[first : first + batch_size])
        batch = np.stack([*rows[first : first + batch_size], *[np.zeros_like(rows[0])] * missing])
        weight = np.stack(
            [*weights[first : first + batch_size], *[np.zeros_like(weights[0])] * missing]
        )
        yield batch, weight.astype(np.float32)


def mean_loss(
    losses: Callable[[np.ndarray], Any],
    tokens: np.ndarray,
    length: int,
    stride: int,
    batch_size: int,
) -> float:
    """Mean nats a token; `losses(rows [B, T + 1]) -> [B, T]`, of `rows[:, 1:]`."""
    total = count = 0.0
    for rows, weights in windows(tokens, length, stride, batch_size):
        total += float(np.sum(np.asarray(losses(rows), np.float64) * weights))
        count += float(np.sum(weights))
    return total / count


def per_unit(nats_per_token: float, tokens: int, units: int) -> float:
    """Nats a word, character or byte: the unit a data set is reported in, of which it has `units`.

    Token losses of different vocabularies do not compare; these do.
    """
    return nats_per_token * tokens / units
