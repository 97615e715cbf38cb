"""Spectrograms of sounds that are known."""

import numpy as np
from PIL import Image

from research.viz import spectrograms

TONE = np.sin(2 * np.pi * 1000 * np.arange(1600) / 8000)


def test_a_full_sine_is_at_zero_decibels_in_its_place():
    levels = spectrograms.decibels(TONE, window=160, hop=40)
    assert levels.shape == (81, 40)
    assert (levels[:, 5:-5].argmax(0) == 20).all()  # 1000 Hz of steps of 50
    np.testing.assert_allclose(levels[20, 5:-5], 0.0, atol=0.05)
    assert spectrograms.decibels(np.zeros(400)).max() == -90


def test_pictures(tmp_path):
    picture = spectrograms.picture(TONE, magnify=2)
    assert picture.dtype == np.uint8 and picture.shape == (162, 80, 3)
    bright = picture.sum((1, 2)).argmax()
    assert abs(bright // 2 - (80 - 20)) <= 1  # high frequencies above
    spectrograms.draw(tmp_path / "a.png", {"tone": TONE, "half": TONE[:801]}, 8000)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 500
