"""Spectrograms of a tone as pictures."""

import numpy as np
from PIL import Image

from research.viz import spectrograms

LEVELS = np.full((81, 40), -90.0)
LEVELS[20] = 0.0


def test_high_frequencies_are_above_and_loud_ones_bright():
    picture = spectrograms.picture(LEVELS, magnify=2)
    assert picture.dtype == np.uint8 and picture.shape == (162, 80, 3)
    bright = picture.sum((1, 2)).argmax()
    assert bright // 2 == 80 - 20
    assert picture[0].sum() < 80 * 3 * 10


def test_pictures_side_by_side(tmp_path):
    shown = {"tone": LEVELS, "half": LEVELS[:, :20]}
    spectrograms.draw(tmp_path / "a.png", shown, frames_per_second=200, top=4000)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 500
