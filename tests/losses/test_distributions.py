"""Densities against numerical integration and SciPy; gradients through samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from research.losses.distributions import Bernoulli, Normal, log_standard_normal


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (1.5, -1.0), (-0.3, 2.0), (4.0, -4.0)])
def test_kl_is_its_integral(mean, log_var):
    std = np.exp(log_var / 2)
    q, p = stats.norm(mean, std), stats.norm()
    expected, _ = integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mean - 10 * std, mean + 10 * std
    )
    found = Normal(jnp.array([mean]), jnp.array([log_var])).kl_to_standard()
    np.testing.assert_allclose(found, [expected], rtol=1e-4, atol=1e-6)


def test_log_densities_are_scipys():
    rng = np.random.default_rng(0)
    mean, log_var, x = rng.normal(size=(3, 4, 5))
    expected = stats.norm(mean, np.exp(log_var / 2)).logpdf(x).sum(-1)
    found = Normal(jnp.array(mean), jnp.array(log_var)).log_prob(jnp.array(x))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(
        log_standard_normal(jnp.array(x)), stats.norm.logpdf(x).sum(-1), rtol=1e-5
    )


def test_bernoulli_is_the_cross_entropy_of_grey_values_summed_over_pixels():
    rng = np.random.default_rng(1)
    logits, x = rng.normal(size=(3, 7)), rng.uniform(size=(3, 7))
    y = 1 / (1 + np.exp(-logits))
    expected = (x * np.log(y) + (1 - x) * np.log(1 - y)).sum(-1)
    p = Bernoulli(jnp.array(logits))
    np.testing.assert_allclose(p.log_prob(jnp.array(x)), expected, rtol=1e-5)
    np.testing.assert_allclose(p.mean, y, rtol=1e-5)
    extreme = Bernoulli(jnp.array([-200.0, 200.0]))
    assert jnp.isfinite(extreme.log_prob(jnp.array([1.0, 0.0])))
    bits = Bernoulli(jnp.full(4000, 1.0)).sample(jax.random.key(0))
    assert set(np.unique(bits)) == {0, 1} and abs(bits.mean() - 0.731) < 0.03


def test_samples_have_mean_and_variance():
    q = Normal(jnp.array([1.0, -2.0]), jnp.log(jnp.array([0.25, 4.0])))
    z = q.sample(jax.random.key(0), (20_000,))
    assert z.shape == (20_000, 2)
    np.testing.assert_allclose(z.mean(0), [1, -2], atol=0.05)
    np.testing.assert_allclose(z.var(0), [0.25, 4], rtol=0.05)


def test_gradient_through_a_sample_is_that_of_finite_differences():
    key, f = jax.random.key(3), lambda z: jnp.sum(jnp.sin(z) * z)

    def value(mean, log_var):
        return f(Normal(mean, log_var).sample(key))

    mean, log_var = jnp.array([0.3, -1.0]), jnp.array([0.2, -0.7])
    gradients = jax.grad(value, (0, 1))(mean, log_var)
    for which, step in ((0, 1e-2), (1, 1e-2)):
        for i in range(2):
            nudge = step * jnp.eye(2)[i]
            up, down = ((mean + s * nudge, log_var) for s in (1, -1))
            if which:
                up, down = ((mean, log_var + s * nudge) for s in (1, -1))
            difference = (value(*up) - value(*down)) / (2 * step)
            np.testing.assert_allclose(gradients[which][i], difference, rtol=2e-3)


def test_gradient_of_an_expectation():
    """E[z^2] = mean^2 + var, so the gradients are 2 mean and var."""

    def expectation(mean, log_var):
        return jnp.mean(Normal(mean, log_var).sample(jax.random.key(0), (50_000,)) ** 2)

    found = jax.grad(expectation, (0, 1))(jnp.array(0.7), jnp.array(-0.5))
    np.testing.assert_allclose(found, [1.4, np.exp(-0.5)], rtol=0.03)
