"""Both estimates of log p(x) against the closed form of a linear Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from research.losses.distributions import Normal, log_standard_normal
from research.metrics import marginal_likelihood
from research.metrics.marginal_likelihood import Gaussian

WEIGHTS = np.array([[1.0, -0.5], [0.3, 2.0], [-1.2, 0.4]])
NOISE = 0.6  # standard deviation
X = np.array([[0.5, -1.0, 0.2], [2.0, 3.0, -1.0], [0.0, 0.1, 0.0]])


def log_joint(x, z):
    """z ~ N(0, I), x ~ N(W z, NOISE^2 I)."""
    mean = jnp.array(WEIGHTS) @ z
    return log_standard_normal(z) + Normal(mean, jnp.full(3, 2 * np.log(NOISE))).log_prob(x)


def closed_form():
    covariance = WEIGHTS @ WEIGHTS.T + NOISE**2 * np.eye(3)
    return stats.multivariate_normal(np.zeros(3), covariance).logpdf(X)


@pytest.fixture(scope="module")
def estimates():
    def one(x, key):
        return marginal_likelihood.estimate(
            key, lambda z: log_joint(x, z), jnp.zeros(2), num_samples=600, num_leapfrog=10
        )

    return jax.jit(jax.vmap(one))(jnp.array(X), jax.random.split(jax.random.key(0), 3))


def test_by_samples_from_the_posterior(estimates):
    np.testing.assert_allclose(estimates.posterior, closed_form(), atol=0.1)


def test_by_importance_sampling(estimates):
    np.testing.assert_allclose(estimates.importance, closed_form(), atol=0.03)


def test_the_step_size_is_tuned(estimates):
    assert np.all(np.abs(estimates.acceptance - 0.9) < 0.08)


def test_exact_where_the_fitted_density_is_the_posterior():
    """Then every ratio is 1 / p(x), and every weight is p(x): one sample suffices."""
    precision = np.eye(2) + WEIGHTS.T @ WEIGHTS / NOISE**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ WEIGHTS.T @ X[1] / NOISE**2
    q = Gaussian(jnp.array(mean), jnp.array(np.linalg.cholesky(covariance)))
    z = q.sample(jax.random.key(0), 4)
    joint = jax.vmap(lambda z: log_joint(X[1], z))(z)
    expected = closed_form()[1]
    np.testing.assert_allclose(
        marginal_likelihood.from_posterior(q.log_prob(z), joint), expected, rtol=1e-4
    )
    found = marginal_likelihood.by_importance(
        jax.random.key(1), lambda z: log_joint(X[1], z), q, 10
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_estimate_is_one_over_the_mean_ratio():
    log_q, log_joint = np.random.default_rng(3).normal(size=(2, 20))
    expected = np.log(1 / np.mean(np.exp(log_q) / np.exp(log_joint)))  # appendix D, step 3
    found = marginal_likelihood.from_posterior(jnp.array(log_q), jnp.array(log_joint))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_importance_sampling_by_a_wrong_density_is_no_more_than_the_truth():
    q = Gaussian(jnp.zeros(2), 3 * jnp.eye(2))
    keys = jax.random.split(jax.random.key(2), 200)

    def mean(num):
        some = jax.vmap(
            lambda key: marginal_likelihood.by_importance(
                key, lambda z: log_joint(X[0], z), q, num, chunks=1
            )
        )
        return float(some(keys).mean())

    few, many, truth = mean(2), mean(2000), closed_form()[0]
    assert few < many - 0.3 and many < truth + 0.02  # it rises with the samples (Burda et al.)
    np.testing.assert_allclose(many, truth, atol=0.05)


def test_fitted_gaussian_is_scipys():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3)) + 1
    q = Gaussian.fit(jnp.array(z))
    expected = stats.multivariate_normal(z.mean(0), np.cov(z.T)).logpdf(z[:5])
    np.testing.assert_allclose(q.log_prob(jnp.array(z[:5])), expected, rtol=1e-3)


def test_a_chain_that_did_not_move_gives_numbers():
    q = Gaussian.fit(jnp.zeros((10, 2)))
    assert np.isfinite(q.log_prob(jnp.zeros((1, 2)))).all()
