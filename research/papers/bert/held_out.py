"""Held-out rows on which models of words are compared at the same positions, and what the collator
does to training rows, measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from research.data.text.masked_words import Masking, asked, masked_row
from research.data.text.segment_pairs import Document, Pair, laid_out, padded_row, pairs_of
from research.data.text.wordpiece import WordPiece
from research.papers.bert.cloze_counts import ClozeCounts

Row = dict[str, np.ndarray]
WAYS = ("masked", "visible", "left")


def held_out_pairs(
    documents: Sequence[Document], count: int, length: int, random_share: float
) -> list[Pair]:
    """The first `count` pairs, the same for every arm and seed."""
    found: list[Pair] = []
    for index in range(len(documents)):
        rng = np.random.default_rng((7, index))
        found += pairs_of(documents, index, length - 3, rng, random_share=random_share)
        if len(found) >= count:
            break
    return found[:count]


def held_out_rows(
    pairs: Sequence[Pair],
    way: str,
    masking: Masking,
    vocabulary: WordPiece,
    length: int,
    predictions: int,
) -> list[Row]:
    """Rows that ask for the same words in one of three ways.

    Args:
      pairs: what of.
      way: "masked" hides all of them; "visible" hides none, and asks for what stands there; "left"
        asks for each at the position before it, of a network that sees the left side alone.
      masking: chooses the words; how it hides some does not matter here.
      vocabulary: for special tokens.
      length, predictions: of a row.
    """
    rows = []
    for number, pair in enumerate(pairs):
        tokens, segments = laid_out(pair.first, pair.second, vocabulary.cls, vocabulary.sep)
        positions = masking.choose(tokens, predictions, np.random.default_rng((11, number)))
        targets, seen = tokens[positions], tokens.copy()
        if way == "masked":
            seen[positions] = vocabulary.mask
        places = positions - 1 if way == "left" else positions
        row = {"tokens": seen, "segments": segments, **asked(places, targets, predictions)}
        rows.append({**padded_row(row, length), "label": np.array(pair.random, np.int32)})
    return rows


def counted_accuracy(rows: Iterable[Row], counts: ClozeCounts) -> float:
    """Percentage of words that counts find, from rows whose words are all "visible"."""
    hits = total = 0
    for row in rows:
        asked_for = row["weights"] > 0
        for place, word in zip(row["positions"][asked_for], row["targets"][asked_for], strict=True):
            left, right = int(row["tokens"][place - 1]), int(row["tokens"][place + 1])
            hits += counts(left, right) == word
            total += 1
    return 100.0 * hits / total


def collator_statistics(
    pairs: Iterable[Pair], masking: Masking, vocabulary: WordPiece, predictions: int, tokens: int
) -> dict[str, float]:
    """What becomes of words in training rows, in percent, over `tokens` words or a few more.

    "chosen" is of all ordinary tokens; "masked", "replaced" and "kept" are of the chosen ones. A
    random token that is the right one by chance counts as kept.
    """
    ordinary = chosen = masked = kept = 0
    rng = np.random.default_rng(13)
    for pair in pairs:
        whole, _ = laid_out(pair.first, pair.second, vocabulary.cls, vocabulary.sep)
        row = masked_row(whole, masking, predictions, rng)
        places = row["positions"][row["weights"] > 0]
        ordinary += int(np.sum(~np.isin(whole, vocabulary.special)))
        chosen += len(places)
        masked += int(np.sum(row["tokens"][places] == vocabulary.mask))
        kept += int(np.sum(row["tokens"][places] == whole[places]))
        if ordinary >= tokens:
            break
    return {
        "chosen": 100.0 * chosen / ordinary,
        "masked": 100.0 * masked / chosen,
        "replaced": 100.0 * (chosen - masked - kept) / chosen,
        "kept": 100.0 * kept / chosen,
    }
