"""Labelled texts as questions for a fine-tuned language model, and a task that any text gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from research.data.dataset import Lazy, Record
from research.data.labels import with_labels
from research.papers.gpt1.task_inputs import Marks

Encode = Callable[[str], np.ndarray]


class Form(NamedTuple):
    """Says how a data set's records become sequences (Radford et al. 2018, figure 1).

    Attributes:
      kind: a method of `Marks`.
      texts: the record's features, in order.
      classes: 0 for multiple choice.
      sequences: for each question.
      class_names: what the labels stand for; () for multiple choice.
    """

    kind: str
    texts: tuple[str, ...]
    classes: int
    sequences: int = 1
    class_names: tuple[str, ...] = ()


_OPINION = ("negative", "positive")
_FOLLOWS = ("entailment", "not entailment")

# By name for `data.load`. "endings" is made here, of any text.
FORMS = {
    "endings": Form("multiple_choice", ("context", "endings"), 0, 2),
    "sst/binary": Form("classification", ("text",), 2, 1, _OPINION),
    "movie_review_mr": Form("classification", ("text",), 2, 1, _OPINION),
    "glue/sst2": Form("classification", ("sentence",), 2, 1, _OPINION),
    "glue/cola": Form("classification", ("sentence",), 2, 1, ("unacceptable", "acceptable")),
    "glue/mnli": Form(
        "entailment", ("premise", "hypothesis"), 3, 1, ("entailment", "neutral", "contradiction")
    ),
    "glue/rte": Form("entailment", ("sentence1", "sentence2"), 2, 1, _FOLLOWS),
    "glue/qnli": Form("entailment", ("question", "sentence"), 2, 1, _FOLLOWS),
    "glue/mrpc": Form("similarity", ("sentence1", "sentence2"), 2, 2, ("different", "equivalent")),
    "glue/qqp": Form("similarity", ("question1", "question2"), 2, 2, ("different", "duplicate")),
}


def endings(texts: Sequence[str], context: int, ending: int, seed: int) -> Sequence[Record]:
    """Makes questions of any text: which of two endings follows? (As in Story Cloze.)

    Each piece of `context` + `ending` characters is one question: "context" str, "endings" two str,
    "label" the right one. The wrong ending follows another piece, of any of the texts.
    """
    size = context + ending
    pieces = [text[i : i + size] for text in texts for i in range(0, len(text) - size + 1, size)]

    def question(index: int) -> Record:
        rng = np.random.default_rng((seed, index))
        other = (index + 1 + int(rng.integers(len(pieces) - 1))) % len(pieces)
        both = [pieces[index][context:], pieces[other][context:]]
        label = int(rng.integers(2))
        return {
            "context": pieces[index][:context],
            "endings": tuple(both[:: 1 - 2 * label]),
            "label": label,
        }

    return Lazy(np.random.default_rng(seed).permutation(len(pieces)).tolist(), question)


def questions(
    records: Sequence[Record], form: Form, encode: Encode, marks: Marks
) -> Sequence[Record]:
    """Turns records into arrays: "tokens" `[A, T]`, "last" `[A]`, "label"."""

    def read(record: Record) -> Record:
        texts = [record[name] for name in form.texts]
        encoded = [
            [encode(part) for part in text] if isinstance(text, tuple) else encode(text)
            for text in texts
        ]
        tokens, last = marks.padded(getattr(marks, form.kind)(*encoded))
        return {"tokens": tokens, "last": last, "label": np.int32(record["label"])}

    classes = form.classes or form.sequences  # of multiple choice: which sequence
    return Lazy(with_labels(records, classes), read)
