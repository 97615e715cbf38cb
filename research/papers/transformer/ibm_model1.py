"""IBM Model 1 (Brown et al. 1993): a translation dictionary counted from sentence pairs.

Knows nothing of word order: word-by-word translation with it bounds from below what a model must do
to have learned any grammar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np


def words(line: str) -> list[str]:
    """Words and single punctuation marks."""
    return re.findall(r"\w+|[^\w\s]", line)


def fit(pairs: Sequence[tuple[str, str]], iterations: int = 5) -> dict[str, str]:
    """Most probable translation t(f | e) of every source word, by expectation maximisation.

    Args:
      pairs: (source, target) lines.
      iterations: of EM, from uniform t.
    """
    sources: dict[str, int] = {"": 0}  # the empty word, which target words may come from
    targets: dict[str, int] = {}
    cells, groups, count = [], [], 0
    for source, target in pairs:
        e = np.array([0, *(sources.setdefault(w, len(sources)) for w in words(source))])
        f = np.array([targets.setdefault(w, len(targets)) for w in words(target)], int)
        cells.append(np.repeat(f, len(e)) + (np.tile(e, len(f)) << 32))
        groups.append(np.repeat(np.arange(count, count + len(f)), len(e)))
        count += len(f)
    # One entry for every pair of words that ever stand in a pair of sentences.
    entries, entry = np.unique(np.concatenate(cells), return_inverse=True)
    group, source_of = np.concatenate(groups), entries >> 32
    t = np.ones(len(entries))
    for _ in range(iterations):
        p = t[entry]
        expected = np.bincount(entry, p / np.bincount(group, p)[group])
        t = expected / np.bincount(source_of, expected)[source_of]
    best = np.lexsort((t, source_of))  # the last of each source word is its best
    last = np.append(source_of[best][1:] != source_of[best][:-1], True)
    names, foreign = list(sources), list(targets)
    return {
        names[e >> 32]: foreign[e & 0xFFFFFFFF] for e in entries[best][last].tolist() if e >> 32
    }


def translate(dictionary: dict[str, str], line: str) -> str:
    """Word by word; unknown words are copied."""
    return " ".join(dictionary.get(word, word) for word in words(line))
