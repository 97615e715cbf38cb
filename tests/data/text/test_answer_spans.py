"""Answers: windows cover a text, spans go to pieces and back, and scores to the best answer."""

import numpy as np
import pytest

from research.data.procedural import portraits
from research.data.text.answer_spans import (
    Answer,
    Window,
    answer_or_none,
    answers_of,
    examples_of,
    pieces_of_answer,
    target_of,
    widest,
    windows_of,
)
from research.data.text.wordpiece import WordPiece

STORIES = portraits.questions(40)
VOCABULARY = WordPiece.train([q.context for q in STORIES] + [q.question for q in STORIES], 400)
SETTINGS = dict(length=40, stride=8, question_length=9)


@pytest.mark.parametrize(
    ("pieces", "room", "stride"), [(5, 8, 3), (8, 8, 3), (20, 8, 3), (20, 4, 9)]
)
def test_windows(pieces, room, stride):
    windows = windows_of(pieces, room, stride)
    assert windows[0].start == 0 and windows[-1].start + windows[-1].size == pieces
    assert all(w.size <= room for w in windows)
    starts = np.array([w.start for w in windows])
    assert np.all(np.diff(starts) == min(stride, room))
    if stride <= room:
        covered = np.concatenate([np.arange(w.start, w.start + w.size) for w in windows])
        assert set(covered) == set(range(pieces))


def test_the_widest_context_is_that_of_the_released_code():
    windows = [Window(0, 6), Window(3, 6), Window(6, 6)]
    found = [widest(windows, piece) for piece in range(12)]
    # Piece 4 has one on its right in window 0, and one on its left in window 1: the first counts.
    assert found == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    for piece in range(12):
        scores = [
            min(piece - s, s + n - 1 - piece) + 0.01 * n if s <= piece < s + n else -9
            for s, n in windows
        ]
        assert found[piece] == scores.index(max(scores))


def test_every_answer_comes_back_from_its_pieces():
    """Through windows, targets, scores that point at the targets, and characters."""
    inside = 0
    for number, question in enumerate(STORIES):
        context = VOCABULARY.pieces(question.context)
        end = question.start + len(question.answer)
        first, last = pieces_of_answer(context, question.start, end)
        examples = examples_of(
            number, VOCABULARY.encode(question.question), context, VOCABULARY, **SETTINGS
        )
        assert len(examples) > 1
        starts, ends = np.zeros((2, len(examples), 40))
        for i, example in enumerate(examples):
            assert len(example.tokens) <= 40 and example.question == number
            a, b = target_of(example, first, last)
            starts[i, a], ends[i, b] = 9.0, 9.0
            if a:
                inside += 1
                ids = context.ids[first : last + 1]
                np.testing.assert_array_equal(example.tokens[a : b + 1], ids)
                assert np.all(example.segments[a : b + 1] == 1)
        scored = sum(int(example.scored.sum()) for example in examples)
        assert scored == len(context.ids), "each piece is scored in one window"
        best = answers_of(examples, starts, ends, question.context, context)[0]
        assert best.text == question.answer and best.start == question.start
        assert best.score == 18.0
    assert inside > len(STORIES)


def test_answers_keep_accents_and_capitals():
    vocabulary = WordPiece.train(["she lived in zurich for a year"], 60)
    text = "She lived in Zürich."
    context = vocabulary.pieces(text)
    first, last = pieces_of_answer(context, 13, 19)
    (example,) = examples_of(0, vocabulary.encode("in"), context, vocabulary, **SETTINGS)
    starts, ends = np.zeros((2, 1, 40))
    a, b = target_of(example, first, last)
    starts[0, a] = ends[0, b] = 1.0
    assert answers_of([example], starts, ends, text, context)[0].text == "Zürich"


def brute_force(example, start, end, max_pieces):
    best = (-np.inf, 0, 0)
    for i in range(example.window.size):
        for j in range(i, min(i + max_pieces, example.window.size)):
            score = start[example.first + i] + end[example.first + j]
            best = max(best, (score, example.window.start + i, example.window.start + j))
    return best


@pytest.mark.parametrize("max_pieces", [1, 3, 30])
def test_the_best_span_is_that_of_all_spans(max_pieces):
    question = STORIES[0]
    context = VOCABULARY.pieces(question.context)
    (example, *_) = examples_of(0, np.array([7, 8]), context, VOCABULARY, **SETTINGS)
    example = example._replace(scored=np.ones(example.window.size, bool))
    for seed in range(20):
        starts, ends = np.random.default_rng(seed).normal(size=(2, 1, 40))
        settings = {"best": 40, "max_pieces": max_pieces}
        found = answers_of([example], starts, ends, question.context, context, **settings)[0]
        score, i, j = brute_force(example, starts[0], ends[0], max_pieces)
        assert found.score == pytest.approx(score)
        assert (found.start, found.end) == (context.spans[i, 0], context.spans[j, 1])


def test_a_piece_with_more_context_elsewhere_starts_no_answer():
    context = VOCABULARY.pieces(STORIES[0].context)
    examples = examples_of(0, np.array([7, 8]), context, VOCABULARY, **SETTINGS)
    edge = examples[0].first + examples[0].window.size - 1
    starts, ends = np.zeros((2, len(examples), 40))
    starts[0, edge] = ends[0, edge] = 99.0
    best = answers_of(examples, starts, ends, STORIES[0].context, context)[0]
    assert best.score == 99.0, "its end alone, from a start that is scored"


def test_no_answer_is_said_beyond_the_threshold():
    ranked = [Answer(3.0, 5, 9, "oslo")]
    assert answer_or_none(ranked, 5.0, 2.5).text == "oslo"
    assert answer_or_none(ranked, 5.6, 2.5).text == ""
    assert answer_or_none([], -9.0, 2.5).text == ""


def test_long_questions_are_cut_and_far_answers_are_the_first_token():
    context = VOCABULARY.pieces(STORIES[1].context)
    examples = examples_of(0, np.arange(30) + 5, context, VOCABULARY, **SETTINGS)
    assert all(example.first == 11 for example in examples)
    assert target_of(examples[-1], 0, 1) == (0, 0)
    assert target_of(examples[0], -1, -1) == (0, 0)
