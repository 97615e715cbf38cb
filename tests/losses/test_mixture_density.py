"""Mixtures in the plane against SciPy, their bias, and their samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from research.losses.mixture_density import PlanarMixture

M = 4


def made(rows=5, seed=0):
    outputs = np.random.default_rng(seed).normal(size=(rows, PlanarMixture.width(M)))
    return outputs, PlanarMixture.from_outputs(jnp.array(outputs))


def by_scipy(outputs, points, bias=0.0):
    """log sum_j pi_j N(x; mu_j, sigma_j, rho_j), as the paper has it."""
    found = []
    for row, x in zip(outputs, points, strict=True):
        pi, mu_1, mu_2, log_1, log_2, rho = np.split(row, 6)
        pi = np.exp(pi * (1 + bias)) / np.exp(pi * (1 + bias)).sum()
        total = 0.0
        for j in range(M):
            s_1, s_2, r = np.exp(log_1[j] - bias), np.exp(log_2[j] - bias), np.tanh(rho[j])
            covariance = [[s_1**2, r * s_1 * s_2], [r * s_1 * s_2, s_2**2]]
            total += pi[j] * stats.multivariate_normal([mu_1[j], mu_2[j]], covariance).pdf(x)
        found.append(np.log(total))
    return np.array(found)


@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_log_density_is_scipys(bias):
    outputs, mixture = made()
    points = np.random.default_rng(1).normal(size=(5, 2))
    found = mixture.biased(bias).log_prob(jnp.array(points))
    np.testing.assert_allclose(found, by_scipy(outputs, points, bias), rtol=2e-4, atol=1e-4)


def test_no_bias_changes_no_bit_and_a_bias_is_of_each_row():
    _, mixture = made()
    for ours, plain in zip(mixture.biased(0.0), mixture, strict=True):
        np.testing.assert_array_equal(ours, plain)
    both = mixture.biased(jnp.array([0.0, 1.0, 0.0, 2.0, 0.0]))
    np.testing.assert_allclose(both.log_std[3], mixture.log_std[3] - 2.0, rtol=1e-5)
    np.testing.assert_allclose(both.logits[1], 2.0 * mixture.logits[1], rtol=1e-5)
    np.testing.assert_array_equal(both.mean, mixture.mean)


def test_a_large_bias_gives_the_likeliest_components_mean():
    _, mixture = made()
    best = jnp.argmax(mixture.logits, axis=-1)
    samples = mixture.biased(30.0).sample(jax.random.key(0))
    np.testing.assert_allclose(samples, mixture.mean[jnp.arange(5), best], atol=1e-4)


def test_extreme_outputs_have_finite_densities_and_gradients():
    """A correlation that rounds to 1, and deviations next to 0 or far away."""
    outputs = jnp.array([[0.0, 0.0, 0.0, -8.0, -8.0, 15.0], [0.0, 3.0, -3.0, 9.0, -9.0, -15.0]])
    one = lambda outputs: PlanarMixture.from_outputs(outputs).log_prob(jnp.zeros(2)).sum()  # noqa: E731
    assert np.tanh(np.float32(15.0)) == 1.0
    value, gradient = jax.value_and_grad(one)(outputs)
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_a_floor_is_added_to_the_deviations():
    outputs, mixture = made()
    floored = PlanarMixture.from_outputs(jnp.array(outputs), 0.1)
    np.testing.assert_allclose(jnp.exp(floored.log_std), jnp.exp(mixture.log_std) + 0.1, rtol=1e-5)


def test_samples_have_the_moments_of_the_mixture():
    outputs, mixture = made(rows=1, seed=3)
    pi, mu_1, mu_2, log_1, log_2, rho = np.split(outputs[0], 6)
    pi, means = np.exp(pi) / np.exp(pi).sum(), np.stack([mu_1, mu_2], axis=1)
    mean = pi @ means
    covariance = np.zeros((2, 2))
    for j in range(M):
        s_1, s_2, r = np.exp(log_1[j]), np.exp(log_2[j]), np.tanh(rho[j])
        own = np.array([[s_1**2, r * s_1 * s_2], [r * s_1 * s_2, s_2**2]])
        apart = means[j] - mean
        covariance += pi[j] * (own + np.outer(apart, apart))
    many = jax.tree.map(lambda part: jnp.repeat(part, 40_000, axis=0), mixture)
    samples = np.asarray(many.sample(jax.random.key(0)))
    np.testing.assert_allclose(mixture.expected()[0], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(samples.mean(0), mean, atol=0.08)
    np.testing.assert_allclose(np.cov(samples.T), covariance, rtol=0.1, atol=0.1)
