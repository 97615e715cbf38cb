"""Balls around points: brute force, sets and themselves, outliers."""

import numpy as np
import pytest

from research.metrics import manifold


def normal(seed, num=60, dim=5):
    return np.random.default_rng(seed).normal(size=(num, dim))


def brute_radii(x, k):
    """Distance to the k-th nearest other point."""
    return np.array(
        [
            sorted(np.linalg.norm(a - b) for j, b in enumerate(x) if j != i)[k - 1]
            for i, a in enumerate(x)
        ]
    )


@pytest.fixture(params=[7, 1024])
def chunk(request, monkeypatch):
    monkeypatch.setattr(manifold, "_CHUNK", request.param)


def test_a_point_is_not_its_own_neighbour():
    x = np.array([[0.0], [1.0], [3.0], [7.0]])
    np.testing.assert_allclose(manifold.squared_radii(x, 1), [1, 1, 4, 16])
    np.testing.assert_allclose(manifold.squared_radii(x, 2), [9, 4, 9, 36])
    with pytest.raises(ValueError, match="4 points have no neighbour number 4"):
        manifold.squared_radii(x, 4)


def test_everything_equals_brute_force(chunk):
    real, fake = normal(0, 23), 1.3 * normal(1, 31)
    apart = np.array([[np.linalg.norm(a - b) for b in fake] for a in real])
    radii, fake_radii = brute_radii(real, 3), brute_radii(fake, 3)
    expected = (apart <= radii[:, None]).any(0).mean(), (apart <= fake_radii).any(1).mean()
    np.testing.assert_allclose(manifold.precision_recall(real, fake), expected)
    inside = apart < radii[:, None]
    expected = inside.sum() / (3 * len(fake)), inside.any(1).mean()
    np.testing.assert_allclose(manifold.density_coverage(real, fake, k=3), expected)
    kept = radii <= np.median(radii)
    expected = (radii[kept, None] / apart[kept]).max(0)
    np.testing.assert_allclose(manifold.realism(real, fake), expected, rtol=1e-6)


def test_identical_and_disjoint_sets(chunk):
    x = normal(0)
    assert manifold.precision_recall(x, x) == (1, 1)
    assert manifold.precision_recall(x, x + 100) == (0, 0)
    np.testing.assert_allclose(manifold.density_coverage(x, x), (1, 1))
    assert manifold.density_coverage(x, x + 100) == (0, 0)


def test_dropped_mode_costs_recall_and_coverage_alone():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(50, 1, (300, 2))])
    fake = rng.normal(0, 1, (600, 2))
    precision, recall = manifold.precision_recall(real, fake)
    density, coverage = manifold.density_coverage(real, fake)
    assert precision > 0.9 and recall < 0.55
    assert 0.8 < density < 1.2 and coverage < 0.55


def test_an_outlier_makes_precision_forgive_and_density_not():
    """Section 3.2 of Naeem et al.: one outlier's ball holds everything."""
    real = np.concatenate([normal(0, 100, 2), [[60.0, 0.0]]])
    fake = np.array([30.0, 0.0]) + normal(1, 100, 2)
    precision, _ = manifold.precision_recall(real, fake, k=5)
    density, coverage = manifold.density_coverage(real, fake)
    assert precision == 1
    assert density <= 0.21 and coverage < 0.02


def test_realism_leaves_out_the_largest_balls():
    """Without the prune a sample far from everything would be real in an outlier's ball."""
    real = np.concatenate([normal(0, 100, 2), [[60.0, 0.0]]])
    far = np.array([[30.0, 0.0]])
    assert manifold.realism(real, far)[0] < 0.1
    assert (manifold.realism(real, real[:100]) >= 1).mean() > 0.5
    near = manifold.realism(real, normal(1, 50, 2))
    assert np.median(near) > 1
