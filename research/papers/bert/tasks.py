"""Labelled texts as rows for a fine-tuned BERT (Devlin et al. 2018, section 4, figure 4)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from research.core.errors import UserError
from research.data.dataset import Dataset, Record
from research.data.labels import with_labels
from research.data.load import load
from research.data.procedural import portraits
from research.data.text import answer_spans
from research.data.text.segment_pairs import laid_out, padded_row, truncated
from research.data.text.wordpiece import WordPiece
from research.metrics.linear_probes import balanced_draw

UNTAGGED = -1  # the target of what is no first piece of a word


class Form(NamedTuple):
    """Says how a data set's records are read.

    Attributes:
      kind: of `BERTTask`.
      texts: the record's features, one or two; words joined by blanks for tagging.
      names: what classes stand for; () for tags, which are collected from the training records,
        and for a label that is a number.
      tags: feature with one tag a word, joined by blanks.
    """

    kind: str
    texts: tuple[str, ...]
    names: tuple[str, ...] = ()
    tags: str = ""


_OPINION = ("negative", "positive")
_FOLLOWS = ("entailment", "not entailment")

# By name for `data.load`. What begins with "stories/" is made here.
FORMS = {
    "stories/judgements": Form("classification", ("text",), ("unkind", "kind")),
    "stories/pairs": Form("classification", ("text", "other"), ("no", "yes")),
    "stories/tags": Form("tagging", ("text",), (), "tags"),
    "imdb_reviews": Form("classification", ("text",), _OPINION),
    "sst/binary": Form("classification", ("text",), _OPINION),
    "movie_review_mr": Form("classification", ("text",), _OPINION),
    "atis": Form("tagging", ("text",), (), "slots"),
    "glue/sst2": Form("classification", ("sentence",), _OPINION),
    "glue/cola": Form("classification", ("sentence",), ("unacceptable", "acceptable")),
    "glue/mnli": Form(
        "classification", ("premise", "hypothesis"), ("entailment", "neutral", "contradiction")
    ),
    "glue/qnli": Form("classification", ("question", "sentence"), _FOLLOWS),
    "glue/rte": Form("classification", ("sentence1", "sentence2"), _FOLLOWS),
    "glue/mrpc": Form("classification", ("sentence1", "sentence2"), ("different", "equivalent")),
    "glue/stsb": Form("classification", ("sentence1", "sentence2")),
    "glue/qqp": Form("classification", ("question1", "question2"), ("different", "duplicate")),
}


class TextTask:
    """A task of classification or tagging.

    Args:
      name: one of `FORMS`.
      data_dir: for `data.load`.
      splits: what `data.load` calls the texts to train on, to choose by, and to be tested with.
      examples: training records at most, as many of every class; 0 for all.
      eval_examples: records to choose by and to be tested with, at most; stories are as many.
      length: tokens of a row.
      vocabulary: of pieces.
      seed: which training records are drawn.
    """

    def __init__(
        self,
        name: str,
        data_dir: str,
        splits: tuple[str, str, str],
        *,
        examples: int,
        eval_examples: int,
        length: int,
        vocabulary: WordPiece,
        seed: int,
    ):
        if name not in FORMS:
            raise UserError(f"no task {name!r}; tasks: {', '.join(FORMS)}")
        self.form, self.name, self.data_dir, self.splits = FORMS[name], name, data_dir, splits
        self.examples, self.eval_examples = examples, eval_examples
        self.length, self.vocabulary, self.seed = length, vocabulary, seed
        self.records, self.rows = functools.cache(self._records), functools.cache(self._rows)

    @property
    def label_type(self) -> type:
        """Of a label: a number where there are no classes."""
        number = self.form.kind == "classification" and not self.form.names
        return np.float32 if number else np.int32

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Classes, or the tags of the training records in alphabetical order, "O" first."""
        if self.form.kind == "classification":
            return self.form.names
        tags = {tag for record in self.records("train") for tag in self._tags(record)}
        return ("O", *sorted(tags - {"O"}))

    def _records(self, split: str) -> Sequence[Record]:
        """Records of "train", "valid" or "test".

        Raises:
          UserError: there are too few of a class.
        """
        which = ("train", "valid", "test").index(split)
        count = self.examples if split == "train" else self.eval_examples
        if self.name.startswith("stories/"):
            return _of_stories(self.name, count, which, self.seed if split == "train" else 0)
        found = load(self.name, self.splits[which], self.data_dir)
        if self.form.names:
            found = with_labels(found, len(self.form.names))
        if not count or count >= len(found):
            return found
        if split == "train" and self.form.names:
            labels = np.array([record["label"] for record in found])
            try:
                chosen = balanced_draw(labels, count, self.seed)
            except ValueError as error:
                raise UserError(f"text_task.examples={count}: {error}") from error
        else:
            rng = np.random.default_rng(self.seed if split == "train" else 0)
            chosen = rng.permutation(len(found))[:count]
        return Dataset([found[int(i)] for i in chosen], found.origin)

    def _rows(self, split: str) -> list[dict[str, np.ndarray]]:
        """Rows of one size with "label", a class or `[length]` of tags."""
        return [self.row(record) for record in self.records(split)]

    def row(self, record: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """One record as "tokens", "segments" `[length]`, "length" and "label"."""
        if self.form.kind == "tagging":
            return self._tagged_row(record)
        texts = [self.vocabulary.encode(record[name]) for name in self.form.texts]
        if len(texts) == 1:
            first, second = texts[0][: self.length - 2], np.zeros(0, np.int32)
        else:
            first, second = truncated(texts[0], texts[1], self.length - 3)
        tokens, segments = laid_out(first, second, self.vocabulary.cls, self.vocabulary.sep)
        row = padded_row({"tokens": tokens, "segments": segments}, self.length)
        return {**row, "label": np.array(record["label"], self.label_type)}

    def _tagged_row(self, record: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The tag of a word is that of its first piece (section 5.3)."""
        words, tags = record[self.form.texts[0]].split(), self._tags(record)
        pieces = [self.vocabulary.encode(word) for word in words]
        places = {name: i for i, name in enumerate(self.names)}
        ids = np.concatenate([np.zeros(0, np.int32), *pieces])[: self.length - 2]
        tokens, segments = laid_out(ids, ids[:0], self.vocabulary.cls, self.vocabulary.sep)
        labels, at = np.full(self.length, UNTAGGED, np.int32), 1
        for tag, part in zip(tags, pieces, strict=True):
            if len(part) and at <= len(ids):  # a tag that training has never seen is "O"
                labels[at] = places.get(tag, 0)
            at += len(part)
        return {
            **padded_row({"tokens": tokens, "segments": segments}, self.length),
            "label": labels,
        }

    def _tags(self, record: Mapping[str, Any]) -> list[str]:
        return record[self.form.tags].split()


def _of_stories(name: str, count: int, which: int, seed: int) -> Dataset:
    """Records of a task about stories that no other split has, and no pre-training."""
    own = 1000 + 10 * seed + which
    if name == "stories/judgements":
        made: list[Record] = [
            {"text": text, "label": label} for text, label in portraits.judgements(count, own)
        ]
    elif name == "stories/tags":
        made = [
            {"text": story.sentences[0], "tags": " ".join(story.tags[0])}
            for story in portraits.generate(count, own)
        ]
    else:  # is the second sentence about the same person?
        told = portraits.generate(count + 1, own)
        made = [
            {
                "text": told[i].sentences[0],
                "other": told[i + 1 - i % 2].sentences[1],
                "label": i % 2,
            }
            for i in range(count)
        ]
    return Dataset(made, "procedural stories")


class SpanTask:
    """Questions whose answers are spans of a text, as in SQuAD.

    Args:
      name: "stories/questions", or a name for `data.load` of records like SQuAD's.
      data_dir: for `data.load`.
      splits: what `data.load` calls the questions to train on, to choose by, to be tested with.
      examples, eval_examples: questions at most; 0 for all.
      length, stride, question_length: see `answer_spans.examples_of`.
      vocabulary: of pieces.
      seed: which training questions are drawn.
    """

    kind = "spans"

    def __init__(
        self,
        name: str,
        data_dir: str,
        splits: tuple[str, str, str],
        *,
        examples: int,
        eval_examples: int,
        length: int,
        stride: int,
        question_length: int,
        vocabulary: WordPiece,
        seed: int,
    ):
        self.name, self.data_dir, self.splits = name, data_dir, splits
        self.examples, self.eval_examples = examples, eval_examples
        self.length, self.stride, self.question_length = length, stride, question_length
        self.vocabulary, self.seed = vocabulary, seed
        if length - question_length - 3 < 1:
            raise UserError(
                f"span_task.length={length} leaves no room beside a question of {question_length}"
            )
        self.pieces = functools.cache(vocabulary.pieces)
        self.records, self.rows = functools.cache(self._records), functools.cache(self._rows)

    def _records(self, split: str) -> Sequence[Record]:
        """Questions of "train", "valid" or "test"."""
        which = ("train", "valid", "test").index(split)
        count = self.examples if split == "train" else self.eval_examples
        if self.name == "stories/questions":
            made = portraits.questions(count, 1000 + which + (10 * self.seed if not which else 0))
            return Dataset([_as_squad(question) for question in made], "procedural stories")
        found = load(self.name, self.splits[which], self.data_dir)
        if len(found) and not {"context", "question", "answers"} <= set(found[0]):
            raise UserError(f"{found!r} has no context, question and answers")
        if not count or count >= len(found):
            return found
        order = np.random.default_rng(self.seed if not which else 0).permutation(len(found))
        return Dataset([found[int(i)] for i in order[:count]], found.origin)

    def examples_of(self, number: int, record: Mapping[str, Any]) -> list[answer_spans.Example]:
        """The windows of a question."""
        return answer_spans.examples_of(
            number,
            self.vocabulary.encode(record["question"]),
            self.pieces(record["context"]),
            self.vocabulary,
            length=self.length,
            stride=self.stride,
            question_length=self.question_length,
        )

    def rows_of(self, records: Sequence[Record]) -> tuple[list[Any], list[dict[str, np.ndarray]]]:
        """All windows of some questions, and their rows with "start" and "end" of the answer."""
        found, rows = [], []
        for number, record in enumerate(records):
            answers = record["answers"]
            pieces = self.pieces(record["context"])
            first, last = -1, -1
            if len(answers["text"]):
                start = int(answers["answer_start"][0])
                end = start + len(answers["text"][0])
                first, last = answer_spans.pieces_of_answer(pieces, start, end)
            for example in self.examples_of(number, record):
                target = answer_spans.target_of(example, first, last)
                row = padded_row(
                    {"tokens": example.tokens, "segments": example.segments}, self.length
                )
                found.append(example)
                rows.append({**row, "label": np.array(target, np.int32)})
        return found, rows

    def _rows(self, split: str) -> list[dict[str, np.ndarray]]:
        """Rows of one size with "label" `[2]`, where the answer starts and ends."""
        return self.rows_of(self.records(split))[1]

    def answers(
        self, records: Sequence[Record], scores: np.ndarray, threshold: float
    ) -> list[answer_spans.Answer]:
        """What scores `[windows, T, 2]` of all windows of some questions answer them."""
        examples, _ = self.rows_of(records)
        windows: list[list[int]] = [[] for _ in records]
        for place, example in enumerate(examples):
            windows[example.question].append(place)
        found = []
        for record, places in zip(records, windows, strict=True):
            context, own = record["context"], scores[places]
            ranked = answer_spans.answers_of(
                [examples[i] for i in places],
                own[..., 0],
                own[..., 1],
                context,
                self.pieces(context),
            )
            null = float(np.min(own[:, 0, 0] + own[:, 0, 1]))
            found.append(answer_spans.answer_or_none(ranked, null, threshold))
        return found


def _as_squad(question: portraits.Question) -> Record:
    answers = {"text": (question.answer,), "answer_start": np.array([question.start])}
    return {"context": question.context, "question": question.question, "answers": answers}
