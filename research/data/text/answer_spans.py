"""Answers that are spans of a text: windows over long texts, and answers out of scores
(Devlin et al. 2018, sections 4.2 and 4.3, with the released code's windows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from research.data.text.segment_pairs import laid_out
from research.data.text.wordpiece import Pieces, WordPiece


class Window(NamedTuple):
    """Some pieces of a context.

    Attributes:
      start: which piece of the context comes first.
      size: how many there are.
    """

    start: int
    size: int


class Example(NamedTuple):
    """One window with its question.

    Attributes:
      tokens, segments: [CLS] question [SEP] window [SEP].
      first: place of the window's first piece in `tokens`.
      window: which pieces it has.
      scored: `[window.size]`, whether an answer may start there: elsewhere the piece has more
        context in another window.
      question: number of the question.
    """

    tokens: np.ndarray
    segments: np.ndarray
    first: int
    window: Window
    scored: np.ndarray
    question: int


class Answer(NamedTuple):
    """A span of a text.

    Attributes:
      score: S.T_i + E.T_j.
      start, end: characters of the context; both 0 for no answer.
      text: what stands there.
    """

    score: float
    start: int
    end: int
    text: str


def windows_of(pieces: int, room: int, stride: int) -> list[Window]:
    """Windows of at most `room` pieces, each `stride` after the one before it."""
    found, start = [], 0
    while True:
        size = min(pieces - start, room)
        found.append(Window(start, size))
        if start + size >= pieces:
            return found
        start += min(size, stride)


def widest(windows: Sequence[Window], piece: int) -> int:
    """The window in which a piece of the context sees most on its poorer side.

    That is min(left, right) + 0.01 size; of equal ones the first.
    """
    scores = [
        min(piece - w.start, w.start + w.size - 1 - piece) + 0.01 * w.size
        if w.start <= piece < w.start + w.size
        else -np.inf
        for w in windows
    ]
    return int(np.argmax(scores))


def examples_of(
    question: int,
    question_ids: np.ndarray,
    context: Pieces,
    vocabulary: WordPiece,
    *,
    length: int,
    stride: int,
    question_length: int,
) -> list[Example]:
    """A question with every window of its context.

    Args:
      question: its number.
      question_ids: pieces; those beyond `question_length` are left out.
      context: pieces of the text that has the answer.
      vocabulary: for its special tokens.
      length: tokens that an example has at most.
      stride: of the windows.
      question_length: pieces that a question has at most.
    """
    asked = question_ids[:question_length]
    windows = windows_of(len(context.ids), length - len(asked) - 3, stride)
    best = np.array([widest(windows, piece) for piece in range(len(context.ids))])
    found = []
    for number, window in enumerate(windows):
        inside = slice(window.start, window.start + window.size)
        tokens, segments = laid_out(asked, context.ids[inside], vocabulary.cls, vocabulary.sep)
        scored = best[inside] == number
        found.append(Example(tokens, segments, len(asked) + 2, window, scored, question))
    return found


def pieces_of_answer(context: Pieces, start: int, end: int) -> tuple[int, int]:
    """First and last piece that have a character of the span `[start, end)`; (-1, -1) for none."""
    touched = np.flatnonzero((context.spans[:, 1] > start) & (context.spans[:, 0] < end))
    return (int(touched[0]), int(touched[-1])) if len(touched) else (-1, -1)


def target_of(example: Example, first: int, last: int) -> tuple[int, int]:
    """Where the answer's first and last piece stand in an example; [CLS] where not all of it is."""
    window = example.window
    if first < window.start or last >= window.start + window.size or first < 0:
        return 0, 0
    return example.first + first - window.start, example.first + last - window.start


def answers_of(
    examples: Sequence[Example],
    starts: np.ndarray,
    ends: np.ndarray,
    context: str,
    pieces: Pieces,
    *,
    best: int = 20,
    max_pieces: int = 30,
) -> list[Answer]:
    """The best spans of one question over all of its windows, highest score first.

    Args:
      examples: windows of the question.
      starts, ends: scores `[windows, T]`.
      context: the text.
      pieces: of the text.
      best: starts and ends that are looked at in each window, and answers that are returned.
      max_pieces: of an answer.
    """
    found: dict[tuple[int, int], float] = {}
    for example, start, end in zip(examples, starts, ends, strict=True):
        first, size = example.first, example.window.size
        start, end = start[first : first + size], end[first : first + size]
        likely = [i for i in np.argsort(-start, kind="stable")[:best] if example.scored[i]]
        last = np.argsort(-end, kind="stable")[:best]
        for i in likely:
            for j in last[(last >= i) & (last < i + max_pieces)]:
                span = example.window.start + int(i), example.window.start + int(j)
                score = float(start[i] + end[j])
                found[span] = max(found.get(span, -np.inf), score)
    ranked = sorted(found.items(), key=lambda item: -item[1])[:best]
    answers = []
    for (i, j), score in ranked:
        begin, stop = int(pieces.spans[i, 0]), int(pieces.spans[j, 1])
        answers.append(Answer(score, begin, stop, context[begin:stop]))
    return answers


def answer_or_none(answers: Sequence[Answer], null_score: float, threshold: float) -> Answer:
    """The best answer, or none where s_null > the best score + threshold (section 4.3).

    Args:
      answers: highest first.
      null_score: S.C + E.C, the least over the windows of a question.
      threshold: tau; infinite where every question has an answer.
    """
    best = answers[0].score if answers else -np.inf
    if not answers or null_score > best + threshold:
        return Answer(null_score, 0, 0, "")
    return answers[0]


def golden(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The answers of a SQuAD record that count; ("",) for a question without."""
    return tuple(record["answers"]["text"]) or ("",)
