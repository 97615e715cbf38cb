"""The Parzen window against SciPy's densities."""

import numpy as np
from scipy import stats

from research.metrics import parzen


def mixture(x, samples, sigma):
    """log density of the mixture, by its definition."""
    covariance = sigma**2 * np.eye(x.shape[1])
    densities = [stats.multivariate_normal(s, covariance).pdf(x) for s in samples]
    return np.log(np.mean(densities, 0))


def test_log_likelihoods_are_those_of_the_mixture(monkeypatch):
    monkeypatch.setattr(parzen, "_CHUNK", 3)
    rng = np.random.default_rng(0)
    x, samples = rng.normal(size=(7, 2, 3)), rng.normal(size=(11, 2, 3))
    found = parzen.log_likelihoods(x, samples, [0.5, 2.0])
    flat = x.reshape(7, 6), samples.reshape(11, 6)
    expected = np.stack([mixture(*flat, 0.5), mixture(*flat, 2.0)])
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_far_samples_do_not_underflow_and_float32_is_widened():
    """At a distance of 280 sigma every term is e^-39200."""
    x, samples = np.full((1, 784), 1.0, np.float32), np.zeros((2, 784), np.float32)
    (found,) = parzen.log_likelihoods(x, samples, [0.1])
    np.testing.assert_allclose(found, stats.norm.logpdf(1.0, scale=0.1) * 784, rtol=1e-12)


def test_sigma_is_chosen_on_validation_data_and_the_test_data_is_judged():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(400, 1))
    validation, test = rng.normal(size=(200, 1)), rng.normal(1.0, 1.0, size=(100, 1))
    sigmas = [0.01, 0.3, 5.0]
    found = parzen.estimate(samples, validation, test, sigmas)
    each = [mixture(validation, samples, sigma).mean() for sigma in sigmas]
    on_test = mixture(test, samples, 0.3)
    assert np.argmax(each) == 1 and found.sigma == 0.3
    np.testing.assert_allclose(found.validation, each[1], rtol=1e-9)
    np.testing.assert_allclose(found.mean, on_test.mean(), rtol=1e-9)
    np.testing.assert_allclose(found.standard_error, on_test.std() / 10, rtol=1e-9)


def test_sigmas_are_those_of_the_released_code():
    np.testing.assert_allclose(parzen.SIGMAS[[0, -1]], [0.1, 1.0])
    np.testing.assert_allclose(np.diff(np.log10(parzen.SIGMAS)), 1 / 9)
