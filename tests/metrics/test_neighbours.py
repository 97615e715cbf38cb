"""Nearest neighbours equal brute force; copies of the training set are recognised."""

import numpy as np

from research.metrics import neighbours


def test_nearest_equals_brute_force(monkeypatch):
    monkeypatch.setattr(neighbours, "_CHUNK", 4)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(11, 2, 3)), rng.normal(size=(7, 2, 3))
    index, distance = neighbours.nearest(x, y)
    table = np.array([[np.linalg.norm(a - b) for b in y] for a in x])
    np.testing.assert_array_equal(index, table.argmin(1))
    np.testing.assert_allclose(distance, table.min(1), rtol=1e-6)


def test_ratio_tells_copies_from_new_samples():
    rng = np.random.default_rng(0)
    train, held_out, fresh = (rng.normal(size=(300, 4)) for _ in range(3))
    copies = train[:200] + 0.01 * rng.normal(size=(200, 4))
    assert neighbours.memorisation_ratio(copies, held_out, train) < 0.1
    assert 0.8 < neighbours.memorisation_ratio(fresh, held_out, train) < 1.25
