"""Spearman's rank correlation against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from research.metrics.rank_correlation import rank_correlation


def test_equals_scipy_with_ties_too():
    rng = np.random.default_rng(0)
    for size in (5, 40):
        x, y = rng.normal(0, 1, (2, size))
        assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
        x, y = x.round(), y.round()
        assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_order_alone_counts_and_a_constant_has_none():
    x = np.array([1.0, 2.0, 5.0, 9.0])
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert rank_correlation(x, np.ones(4)) == 0
