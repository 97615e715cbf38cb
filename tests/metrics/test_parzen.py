"""Log-likelihood under a Parzen window, against the density of a mixture written out."""

import numpy as np
import pytest
from scipy import stats

from research.metrics.parzen import log_likelihoods, parzen


def test_equals_the_mixture_of_gaussians():
    rng = np.random.default_rng(0)
    samples, data = rng.normal(0, 1, (7, 3)), rng.normal(0, 1, (4, 3))
    densities = [
        np.mean([stats.multivariate_normal(s, 0.3**2 * np.eye(3)).pdf(x) for s in samples])
        for x in data
    ]
    np.testing.assert_allclose(log_likelihoods(data, samples, 0.3), np.log(densities), rtol=1e-9)


def test_finite_far_from_every_sample():
    found = log_likelihoods(np.full((1, 784), 100.0), np.zeros((3, 784)), 0.1)
    assert np.isfinite(found).all()


def test_width_is_chosen_on_validation_data_and_the_error_is_of_the_mean():
    rng = np.random.default_rng(1)
    samples, validation, test = (rng.normal(0, 1, (n, 1)) for n in (500, 100, 50))
    sigmas = (0.01, 0.3, 5.0)
    found = parzen(samples, validation, test, sigmas)
    means = [log_likelihoods(validation, samples, s).mean() for s in sigmas]
    assert found["sigma"] == sigmas[int(np.argmax(means))] == 0.3
    each = log_likelihoods(test, samples, 0.3)
    assert found["log_likelihood"] == pytest.approx(each.mean())
    assert found["error"] == pytest.approx(stats.sem(each))
