"""Procedural handwriting: strokes, and hands that are told apart."""

import numpy as np
import pytest

from research.data.procedural import pen_strokes
from research.data.procedural.pen_strokes import LETTERS, NEUTRAL, Writer


def rng(seed=0):
    return np.random.default_rng(seed)


def test_letters_are_as_large_as_their_table_says():
    assert len(LETTERS) == 27
    for letter in LETTERS.strip():
        points = np.concatenate(pen_strokes.write(letter, NEUTRAL, rng()))
        assert -1.1 <= points[:, 1].min() and points[:, 1].max() <= 2.1
        assert -0.1 <= points[:, 0].min() and points[:, 0].max() <= 1.2
    tall = {x for x in LETTERS.strip() if "b" in x or x in "dfhklt"}
    for letter in tall:
        assert np.concatenate(pen_strokes.write(letter, NEUTRAL, rng()))[:, 1].max() > 1.6


@pytest.mark.parametrize("letter", ["o", "l", "g", "z"])
def test_points_are_at_equal_distances_along_each_stroke(letter):
    for stroke in pen_strokes.write(letter, NEUTRAL, rng()):
        steps = np.linalg.norm(np.diff(stroke, axis=0), axis=1)
        assert len(stroke) >= 2 and steps.max() <= 0.36  # chords are shorter where it bends


def test_a_writer_is_the_same_in_every_line_and_lines_differ():
    (first, *_), again = pen_strokes.writers(3), pen_strokes.writers(5)
    assert first == again[0] and first != again[1]
    one, same, other = (pen_strokes.write("hello", first, rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(np.concatenate(one), np.concatenate(same))
    assert np.concatenate(one).shape != np.concatenate(other).shape or not np.allclose(
        np.concatenate(one), np.concatenate(other)
    )


def test_slant_width_and_spacing_are_the_hands():
    upright = np.concatenate(pen_strokes.write("ho", Writer(), rng()))
    slanted = np.concatenate(pen_strokes.write("h", Writer(slant=0.5), rng()))
    stem = slanted[:7]
    np.testing.assert_allclose(stem[:, 0], 0.5 * stem[:, 1], atol=1e-6)
    spaced = np.concatenate(pen_strokes.write("ho", Writer(spacing=0.85), rng()))
    np.testing.assert_allclose(spaced[-1, 0] - upright[-1, 0], 0.5, atol=1e-6)
    blank = np.concatenate(pen_strokes.write("h o", Writer(), rng()))
    np.testing.assert_allclose(blank[-1, 0] - upright[-1, 0], 0.5 + 0.35, atol=1e-6)
