"""Marks lie where they are said to be."""

import numpy as np
from PIL import Image

from research.papers.domain_randomization.position_plots import MIN_HEIGHT, save_positions


def test_ring_and_cross_lie_at_their_pixels(tmp_path):
    images = np.full((1, 20, 20, 3), 128, np.uint8)
    save_positions(tmp_path / "x.png", images, np.array([[5.0, 14.0]]), np.array([[12.0, 4.0]]))
    picture = np.asarray(Image.open(tmp_path / "x.png")).astype(int)[2:-2, 2:-2]  # without margins
    magnify = -(-MIN_HEIGHT // 20)
    assert picture.shape == (20 * magnify, 20 * magnify, 3)
    for colour, place in (((255, 255, 255), (5, 14)), ((255, 0, 200), (12, 4))):
        rows, columns = np.nonzero((picture == colour).all(axis=-1))
        middle = np.array([rows.mean(), columns.mean()]) / magnify - 0.5
        np.testing.assert_allclose(middle, place, atol=0.5)
