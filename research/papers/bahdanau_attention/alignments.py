"""How much of the alignment's weight lies where it should (section 5.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def near_diagonal(weights: Sequence[np.ndarray], reach: float = 2.0) -> float:
    """Share of the weight within `reach` source tokens of the diagonal, the mean of all tokens.

    The diagonal joins the corners, whatever the lengths of the two sentences.

    Args:
      weights: `[T, S]` of each pair, rows that sum to 1.
      reach: in source tokens.
    """
    shares = []
    for a in weights:
        rows, columns = np.indices(a.shape)
        slope = (a.shape[1] - 1) / max(a.shape[0] - 1, 1)
        shares.append(np.sum(a * (np.abs(columns - slope * rows) <= reach), axis=1))
    return float(np.mean(np.concatenate(shares)))


def on_aligned_words(
    weights: Sequence[np.ndarray], true: Sequence[Sequence[tuple[int, int]]]
) -> float:
    """Share of the weight on the words that a word renders, the mean of all words that have such.

    Args:
      weights: `[T, S]` of each pair.
      true: (source word, target word) pairs of each.
    """
    shares = []
    for a, pairs in zip(weights, true, strict=True):
        mask = np.zeros(a.shape, bool)
        mask[[t for _, t in pairs], [s for s, _ in pairs]] = True
        shares.append(np.sum(a * mask, axis=1)[mask.any(axis=1)])
    return float(np.mean(np.concatenate(shares)))
