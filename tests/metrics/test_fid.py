"""Sample metrics against closed forms and SciPy; each known bug must change the number."""

import numpy as np
import pytest
import scipy.linalg

from research.metrics import fid


def wishart(dim, seed, rank=None):
    a = np.random.default_rng(seed).normal(size=(dim, rank or 2 * dim))
    return a @ a.T / a.shape[1]


def by_sqrtm(mean1, cov1, mean2, cov2, root=scipy.linalg.sqrtm):
    return ((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * np.real(root(cov1 @ cov2)))


def test_frechet_distance_equals_the_published_form():
    m1, m2 = np.random.default_rng(0).normal(size=(2, 12))
    c1, c2 = wishart(12, 1), wishart(12, 2)
    ours = fid.frechet_distance(m1, c1, m2, c2)
    np.testing.assert_allclose(ours, by_sqrtm(m1, c1, m2, c2), rtol=1e-6)
    # The root of a matrix is not the root of its entries.
    broken = by_sqrtm(m1, c1, m2, c2, lambda x: np.sqrt(np.abs(x)))
    assert abs(broken - ours) > 0.05 * ours


def test_frechet_distance_of_commuting_gaussians_in_closed_form():
    s1, s2 = np.random.default_rng(0).uniform(0.5, 2, (2, 5))
    q = np.linalg.qr(wishart(5, 3))[0]
    ours = fid.frechet_distance(np.zeros(5), q * s1**2 @ q.T, np.full(5, 0.3), q * s2**2 @ q.T)
    np.testing.assert_allclose(ours, 5 * 0.09 + ((s1 - s2) ** 2).sum(), rtol=1e-6)


def test_dead_features_are_no_obstacle():
    c1, c2 = wishart(8, 1, rank=3), wishart(8, 2, rank=3)
    zero = np.zeros(8)
    assert np.isfinite(fid.frechet_distance(zero, c1, zero, c2))
    np.testing.assert_allclose(fid.frechet_distance(zero, c1, zero, c1), 0, atol=1e-6)


def test_fid_of_samples_approaches_the_truth():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 4)), rng.normal(1, 2, size=(20_000, 4))
    np.testing.assert_allclose(fid.fid(x, y), 4 * 1 + 4 * 1, rtol=0.03)


def test_covariance_has_denominator_n_minus_one():
    x = np.random.default_rng(0).normal(size=(5, 2))
    _, cov = fid.moments(x)
    centred = x - x.mean(0)
    np.testing.assert_allclose(cov, centred.T @ centred / 4, rtol=1e-12)
    assert np.abs(cov - centred.T @ centred / 5).max() > 0.01


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="4 samples for 4 features"):
        fid.moments(np.zeros((4, 4)))


def biased_mmd(x, y):
    def k(a, b):
        return ((a @ b.T / x.shape[1] + 1) ** 3).mean()

    return k(x, x) + k(y, y) - 2 * k(x, y)


def test_kernel_distance_of_one_population_averages_to_zero():
    rng = np.random.default_rng(0)
    pairs = [rng.normal(size=(2, 30, 4)) for _ in range(200)]
    ours = np.array([fid.polynomial_mmd(x, y) for x, y in pairs])
    biased = np.array([biased_mmd(x, y) for x, y in pairs])
    error = ours.std() / np.sqrt(200)
    assert abs(ours.mean()) < 3 * error
    assert biased.mean() > 3 * error


def test_kernel_distance_equals_the_double_sum():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 3)), rng.normal(1, 1, size=(5, 3))

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    expected = (
        sum(k(x[i], x[j]) for i in range(6) for j in range(6) if i != j) / 30
        + sum(k(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
        - 2 * sum(k(a, b) for a in x for b in y) / 30
    )
    np.testing.assert_allclose(fid.polynomial_mmd(x, y), expected, rtol=1e-10)
    mean, std = fid.kid(x, y, num_subsets=3, subset_size=5)
    assert np.isfinite([mean, std]).all() and std > 0
    with pytest.raises(ValueError, match="subset_size 6"):
        fid.kid(x, y, subset_size=6)


def test_inception_score_of_known_predictions():
    one_hot = np.eye(10)[np.arange(1000) % 10]
    np.testing.assert_allclose(fid.inception_score(one_hot, num_splits=1)[0], 10, rtol=1e-9)
    np.testing.assert_allclose(fid.inception_score(np.full((100, 10), 0.1))[0], 1, rtol=1e-9)


def test_inception_score_does_not_depend_on_the_order():
    by_class = np.repeat(np.eye(10), 100, axis=0)
    unshuffled = np.mean(
        [
            np.exp((p * np.log(np.where(p > 0, p / np.maximum(p.mean(0), 1e-12), 1))).sum(1).mean())
            for p in np.split(by_class, 10)
        ]
    )
    assert unshuffled < 1.01  # the bug: each split sees one class
    assert fid.inception_score(by_class)[0] > 9


def gaussians(num, seed):
    """Samples of N(0, S) and of N(0, 4 S), whose distance is tr S, and tr S."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(16, 16)) / 4
    x, y = (rng.normal(size=(num, 16)) @ mixing.T for _ in range(2))
    return x, 2 * y, np.trace(mixing @ mixing.T)


def test_bias_falls_as_one_over_the_number_of_rows():
    x, y, _ = gaussians(8000, 0)
    same = fid.fid_by_size(x, y / 2, (250, 500, 1000))
    np.testing.assert_allclose(same[250] / same[500], 2, rtol=0.15)
    np.testing.assert_allclose(same[250] / same[1000], 4, rtol=0.25)
    all_rows = fid.fid_by_size(x, y, (8000,))
    np.testing.assert_allclose(all_rows[8000], fid.fid(x, y), rtol=1e-9)


def test_infinity_takes_the_bias_out():
    x, y, truth = gaussians(10_000, 1)
    parts = zip(np.split(x, 100), np.split(y, 100), strict=True)
    biased = np.mean([fid.fid(*part) for part in parts])
    limit = fid.fid_infinity(x, y, smallest=100)
    assert abs(limit / truth - 1) < 0.03 < 0.08 < abs(biased / truth - 1)
    same = fid.fid_infinity(x, y / 2, smallest=100)
    assert abs(same) < 0.3 * fid.fid(x, y / 2)


def test_splits_are_the_published_ones_where_they_do_not_divide():
    rng = np.random.default_rng(3)
    probs = rng.dirichlet(np.ones(4), 23)
    shuffled = np.random.default_rng(0).permutation(probs)
    scores = []
    for i in range(5):
        part = shuffled[i * 23 // 5 : (i + 1) * 23 // 5]
        kl = part * (np.log(part) - np.log(part.mean(0, keepdims=True)))
        scores.append(np.exp(kl.sum(1).mean()))
    expected = np.mean(scores), np.std(scores)
    np.testing.assert_allclose(fid.inception_score(probs, num_splits=5), expected, rtol=1e-9)
