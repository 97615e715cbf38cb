"""Colours of values, places of characters, and a page that shows any text."""

import numpy as np

from research.viz import coloured_text
from research.viz.coloured_text import COLUMNS, Panel


def test_colours_are_red_white_and_blue():
    red, white, blue = coloured_text.colours(np.array([-1.0, 0.0, 2.0])).astype(int)
    assert white.tolist() == [255, 255, 255]
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50


def test_a_picture_has_a_colour_behind_each_character():
    text = "ab\n" + "c" * (COLUMNS + 1)
    values = np.where(np.arange(len(text)) < 3, 1.0, -1.0)
    one = coloured_text.draw([Panel("title", text, values)])
    two = coloured_text.draw([Panel("title", text, values), Panel("other", "x", np.ones(1))])
    assert one.dtype == np.uint8 and one.shape[2] == 3
    assert two.shape[0] > one.shape[0] and two.shape[1] == one.shape[1]
    # Two lines of c, because one is too long, are red; the one above them is blue.
    is_red = (one[..., 0].astype(int) - one[..., 2] > 50).any(1)
    is_blue = (one[..., 2].astype(int) - one[..., 0] > 50).any(1)
    assert 1.7 < is_red.sum() / is_blue.sum() < 2.3
    assert np.flatnonzero(is_blue).max() < np.flatnonzero(is_red).max()


def test_a_page_shows_any_text():
    found = coloured_text.page([Panel("<cells>", "<b>\n", np.linspace(-1, 1, 4))], "a & b")
    assert "&lt;cells&gt;" in found and "a &amp; b" in found and "<b>" not in found
    assert found.count("<span") == 4 and 'title="-1.00"' in found
