"""Spans of texts that are right: answers, as SQuAD scores them, and named entities."""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Sequence

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """An answer in lower case, without punctuation, articles and more than single blanks."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, golden: Sequence[str]) -> float:
    """1 where a normalized answer is one of several, else 0."""
    return float(any(normalized(answer) == normalized(right) for right in golden))


def answer_f1(answer: str, golden: Sequence[str]) -> float:
    """The harmonic mean of precision and recall of words, with the answer that fits best.

    Of two answers without a word it is 1, of one without it is 0 (SQuAD 2.0).
    """
    return max(_f1(normalized(answer).split(), normalized(right).split()) for right in golden)


def _f1(found: list[str], right: list[str]) -> float:
    if not found or not right:
        return float(found == right)
    common = (collections.Counter(found) & collections.Counter(right)).total()
    return 2 * common / (len(found) + len(right))


def squad(answers: Sequence[str], golden: Sequence[Sequence[str]]) -> dict[str, float]:
    """ "exact_match" and "f1" in percent, over all questions."""
    pairs = list(zip(answers, golden, strict=True))
    return {
        "exact_match": 100.0 * float(np.mean([exact_match(*pair) for pair in pairs])),
        "f1": 100.0 * float(np.mean([answer_f1(*pair) for pair in pairs])),
    }


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Entities (type, first word, word after the last) of tags "B-type", "I-type" and "O".

    As of CoNLL: "I-" that does not go on with an entity of its type begins one.
    """
    found, kind, start = set(), "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind and not (prefix == "I" and name == kind):
            found.add((kind, start, place))
            kind = ""
        if not kind and prefix in ("B", "I"):
            kind, start = name, place
    return found


def entity_f1(found: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> float:
    """F1 in percent of the entities of all texts together; 100 where there are none at all."""
    hits = number_found = number_right = 0
    for tags, golden in zip(found, right, strict=True):
        ours, theirs = entities(tags), entities(golden)
        hits += len(ours & theirs)
        number_found, number_right = number_found + len(ours), number_right + len(theirs)
    total = number_found + number_right
    return 100.0 * 2 * hits / total if total else 100.0
