"""Separability of attributes that a plane tells, and of those that none does."""

import numpy as np
import pytest

from research.metrics.separability import conditional_entropy, linear_separability


def test_entropy_of_known_tables():
    y = np.array([True, True, False, False])
    assert conditional_entropy(y, y) == 0
    assert conditional_entropy(y, ~y) == 0
    assert conditional_entropy(y, np.array([True, False, True, False])) == pytest.approx(1)
    skewed = np.array([True] * 3 + [False])
    expected = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))  # x says nothing
    assert conditional_entropy(skewed, np.ones(4, bool)) == pytest.approx(expected)


def test_a_plane_tells_one_attribute_and_not_another():
    z = np.random.default_rng(0).normal(size=(2000, 4))
    told = 1 / (1 + np.exp(-5 * z[:, 0]))
    parity = 1 / (1 + np.exp(-5 * z[:, 1] * z[:, 2]))
    assert linear_separability(z, told[:, None]) < 1.05
    assert linear_separability(z, parity[:, None]) > 1.9
    both = linear_separability(z, np.stack([parity, parity], axis=1))
    np.testing.assert_allclose(both, linear_separability(z, parity[:, None]) ** 2, rtol=1e-6)


def test_the_half_that_the_classifier_is_surest_of_is_looked_at():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 2))
    sure = np.arange(1000) < 500
    prob = np.where(sure, (z[:, 0] > 0) * 0.9 + 0.05, rng.uniform(0.45, 0.55, 1000))
    assert linear_separability(z, prob[:, None]) < 1.1
    assert linear_separability(z, prob[:, None], keep=1.0) > 1.3


def test_an_attribute_of_all_images_is_no_information():
    assert linear_separability(np.random.default_rng(0).normal(size=(50, 2)), np.ones((50, 1))) == 1
