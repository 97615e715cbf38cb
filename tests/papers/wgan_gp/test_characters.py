"""Rows of characters, and the distance of their n-grams."""

import numpy as np
import pytest

from research.papers.wgan_gp.characters import UNKNOWN, CharacterRows, ngram_divergences


def test_rows_of_the_language_reference_read_back():
    rows = CharacterRows("python_reference", "", 16, 40)
    text, _ = rows.text("train")
    assert rows.characters[0] == " " and rows.characters[-1] == UNKNOWN
    assert len(rows.characters) == 40
    line = rows.lines("train", 3)[0]
    assert [a for a, b in zip(line, text, strict=False) if b in rows.characters and a != b] == []
    stream = rows.stream(4, 0)
    batch = stream(None)
    assert batch["characters"].shape == (4, 16) and batch["characters"].max() < 40
    assert all(len(line) == 16 for line in rows.decode(batch["characters"]))


def test_divergence_is_zero_for_equal_and_log_two_for_disjoint_lines():
    lines = ["abcab", "bcabc"]
    assert ngram_divergences(lines, lines) == pytest.approx({f"js{n}": 0.0 for n in range(1, 5)})
    apart = ngram_divergences(lines, ["xyzxy", "zyxzy"])
    assert apart == pytest.approx({f"js{n}": np.log(2) for n in range(1, 5)})
    half = ngram_divergences(["aaaa"], ["aabb"])["js1"]
    mean = np.array([0.75, 0.25])
    expected = (np.log(1 / 0.75) + (0.5 * np.log(0.5 / mean)).sum()) / 2
    assert half == pytest.approx(expected)
