"""Feature maps of a concept are found."""

import numpy as np
import pytest

from research.papers.dcgan import attribution


def test_the_maps_that_draw_the_concept_get_positive_weights():
    rng = np.random.default_rng(0)
    inside = np.zeros((20, 8, 8), bool)
    for i in range(20):
        r, c = rng.integers(0, 6, 2)
        inside[i, r : r + 2, c : c + 2] = i < 15  # five images without a box
    maps = rng.uniform(0, 1, (20, 8, 8, 6))
    maps[..., 1] += 2 * inside
    maps[..., 4] += 2 * inside
    maps[..., 3] -= 2 * inside
    weights = attribution.concept_weights(maps, inside, seed=0)
    assert set(np.argsort(weights)[-2:]) == {1, 4} and weights.argmin() == 3
    assert np.abs(weights[[0, 2, 5]]).max() < 0.5 * weights[[1, 4]].min()


def test_boxes_everywhere_or_nowhere_are_refused():
    for value in (0, 1):
        with pytest.raises(ValueError, match="some, and not all"):
            attribution.concept_weights(np.ones((2, 4, 4, 3)), np.full((2, 4, 4), bool(value)), 0)


def test_boxes_shrink_to_the_cells_they_mostly_cover():
    inside = np.zeros((1, 8, 8), bool)
    inside[0, 2:4, 0:5] = True
    np.testing.assert_array_equal(attribution.on_map(inside, 4)[0, 1], [True, True, True, False])
    assert attribution.on_map(inside, 4).sum() == 3
