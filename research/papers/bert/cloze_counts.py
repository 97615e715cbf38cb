"""What counts of words say of a hidden one: the floor for a network that sees both sides."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from research.data.text.segment_pairs import Document


class ClozeCounts:
    """The word that most often stood between these two neighbours; else after the left one; else
    anywhere.

    Args:
      documents: to count.
    """

    def __init__(self, documents: Sequence[Document]):
        between: dict[tuple[int, int], collections.Counter[int]] = {}
        after: dict[int, collections.Counter[int]] = {}
        anywhere: collections.Counter[int] = collections.Counter()
        for document in documents:
            ids = np.concatenate(document).tolist()
            anywhere.update(ids)
            for left, word, right in zip(ids, ids[1:], ids[2:], strict=False):
                between.setdefault((left, right), collections.Counter())[word] += 1
                after.setdefault(left, collections.Counter())[word] += 1
        self._between = {key: _likeliest(found) for key, found in between.items()}
        self._after = {key: _likeliest(found) for key, found in after.items()}
        self._anywhere = _likeliest(anywhere)

    def __call__(self, left: int, right: int) -> int:
        """The likeliest word between two neighbours."""
        fallback = self._after.get(left, self._anywhere)
        return self._between.get((left, right), fallback)


def _likeliest(counts: collections.Counter[int]) -> int:
    """The most frequent word; of equally frequent ones that with the lowest id."""
    return min(counts, key=lambda word: (-counts[word], word))
