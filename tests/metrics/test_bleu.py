"""BLEU's known answers, and that it never comes without a signature."""

import numpy as np
import pytest

from research.metrics.bleu import bleu

LINES = ["the cat sat on the mat today", "a dog barks at the old moon"]


def test_known_answers():
    assert bleu(LINES, LINES).score == pytest.approx(100.0)
    assert bleu(["x y z w v"] * 2, LINES).score < 5.0
    # One sentence, one wrong word in the middle of seven: precisions 6/7, 4/6, 2/5, 1/4.
    wrong = bleu(["the cat sat over the mat today"], LINES[:1])
    expected = 100 * np.prod([6 / 7, 4 / 6, 2 / 5, 0.5 / 4]) ** 0.25
    assert wrong.score == pytest.approx(expected, rel=1e-3)


def test_brevity_penalty():
    full = bleu(LINES, LINES).score
    short = bleu([" ".join(line.split()[:5]) for line in LINES], LINES).score
    assert short == pytest.approx(full * np.exp(1 - 14 / 10), rel=1e-3)


def test_signature_names_the_tokenizer():
    assert "tok:13a" in bleu(LINES, LINES).signature
    assert "tok:none" in bleu(LINES, LINES, tokenize="none").signature
    assert "version:" in bleu(LINES, LINES).signature


def test_unequal_numbers_of_lines_are_refused():
    with pytest.raises(ValueError, match="1 hypotheses for 2"):
        bleu(LINES[:1], LINES)
