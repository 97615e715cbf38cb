"""Count-based n-gram language model, interpolated as by Witten and Bell (1991).

What can be had without a network: p_n(w | c) = (count(c, w) + kinds(c) p_{n-1}(w | c')) /
(count(c) + kinds(c)), where kinds(c) is how many different tokens follow the context c, and c' is c
without its first token. p_0 is uniform. It has nothing to tune.
"""

from __future__ import annotations

import numpy as np


def log_losses(train: np.ndarray, test: np.ndarray, order: int, vocab_size: int) -> np.ndarray:
    """Returns nats of every token of `test [N]` but the first `order` - 1, `[N - order + 1]`.

    Args:
      train: `[M]` tokens to count.
      test: `[N]` tokens to predict.
      order: n, tokens in a gram; vocab_size^n must fit 63 bits.
      vocab_size: V.
    """
    prob = np.full(len(test) - order + 1, 1.0 / vocab_size)
    for n in range(1, order + 1):
        grams, counts = np.unique(_codes(train, n, vocab_size), return_counts=True)
        # Grams are sorted by context first: those of one context stand together.
        contexts, starts, kinds = np.unique(
            grams // vocab_size, return_index=True, return_counts=True
        )
        totals = np.add.reduceat(counts, starts)
        wanted = _codes(test, n, vocab_size)[order - n :]
        count = _look_up(grams, counts, wanted)
        total = _look_up(contexts, totals, wanted // vocab_size)
        kind = _look_up(contexts, kinds, wanted // vocab_size)
        seen = total > 0
        prob = np.where(seen, (count + kind * prob) / np.maximum(total + kind, 1), prob)
    return -np.log(prob)


def _codes(tokens: np.ndarray, n: int, vocab_size: int) -> np.ndarray:
    """Writes each run of n tokens as one number, the last token in its lowest digit."""
    codes = np.zeros(len(tokens) - n + 1, np.int64)
    for i in range(n):
        codes = codes * vocab_size + tokens[i : len(tokens) - n + 1 + i]
    return codes


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
