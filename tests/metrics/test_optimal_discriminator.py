"""Proposition 1 and theorem 1, where they are known."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from research.metrics.optimal_discriminator import (
    jensen_shannon,
    optimal_discriminator,
    value,
    virtual_criterion,
)

X = np.linspace(-9, 9, 6001)
P, Q = stats.norm(), stats.norm(1.5, 0.7)
LOGS = P.logpdf(X), Q.logpdf(X)


def test_the_optimum_is_the_largest_value_at_each_point():
    found = optimal_discriminator(*LOGS)
    for at in (2800, 3200, 3500):
        a, b = (np.exp(log[at]) for log in LOGS)
        best = optimize.minimize_scalar(
            lambda d, a=a, b=b: -(a * np.log(d) + b * np.log(1 - d)),
            bounds=(1e-6, 1 - 1e-6),
            method="bounded",
        )
        np.testing.assert_allclose(found[at], best.x, atol=1e-4)


def test_the_divergence_is_scipys_integral():
    def half(a, b):
        return integrate.quad(lambda x: a.pdf(x) * (a.logpdf(x) - middle(x)), -9, 9)[0] / 2

    middle = lambda x: np.log((P.pdf(x) + Q.pdf(x)) / 2)  # noqa: E731
    expected = half(P, Q) + half(Q, P)
    np.testing.assert_allclose(jensen_shannon(X, *LOGS), expected, rtol=1e-4)
    assert expected == pytest.approx(0.2878, abs=1e-4)


def test_the_value_at_the_optimum_is_the_criterion_and_less_elsewhere():
    logits = LOGS[0] - LOGS[1]
    criterion = virtual_criterion(X, *LOGS)
    np.testing.assert_allclose(value(X, *LOGS, logits), criterion, atol=1e-5)
    for other in (0 * X, logits + 0.3, -logits):
        assert value(X, *LOGS, other) < criterion - 1e-3


def test_equal_and_separate_densities_are_the_ends_of_the_range():
    """C(G) = -log 4 at the global minimum; 0, where D knows everything."""
    np.testing.assert_allclose(virtual_criterion(X, LOGS[0], LOGS[0]), -np.log(4), rtol=1e-5)
    far = stats.norm(4, 0.2).logpdf(X), stats.norm(-4, 0.2).logpdf(X)
    np.testing.assert_allclose(jensen_shannon(X, *far), np.log(2), rtol=1e-4)
    np.testing.assert_allclose(virtual_criterion(X, *far), 0.0, atol=1e-4)
