"""The description length of weights, against the divergence of each of them."""

import jax
import jax.numpy as jnp
import numpy as np

from research.losses.weight_noise import WeightPosterior


def made():
    rng = np.random.default_rng(0)
    params = {"a": jnp.array(rng.normal(size=(3, 2))), "b": jnp.array(rng.normal(size=5))}
    posterior = WeightPosterior.around(params, 0.075)
    log_std = jax.tree.map(lambda p: jnp.array(rng.normal(size=p.shape) - 1.0), params)
    return posterior._replace(log_std=log_std)


def divergence(posterior, mean, variance):
    """sum_i log(s / s_i) + (s_i^2 + (m_i - m)^2) / 2 s^2 - 1/2."""
    means, log_stds = (np.concatenate([np.ravel(x) for x in t.values()]) for t in posterior)
    return np.sum(
        0.5 * np.log(variance)
        - log_stds
        + (np.exp(2 * log_stds) + (means - mean) ** 2) / (2 * variance)
        - 0.5
    )


def test_divergence_is_that_of_every_weight_and_the_prior_has_the_least():
    posterior = made()
    mean, variance = map(float, posterior.fitted_prior())
    np.testing.assert_allclose(
        posterior.kl_to_fitted_prior(), divergence(posterior, mean, variance), rtol=1e-5
    )
    best = divergence(posterior, mean, variance)
    for other in ((mean + 0.05, variance), (mean, 1.1 * variance), (mean, 0.9 * variance)):
        assert divergence(posterior, *other) > best


def test_the_divergences_gradient_takes_the_prior_as_given():
    """d KL / d mean_i = (m_i - m) / s^2: what the fit itself depends on adds nothing."""
    posterior = made()
    mean, variance = posterior.fitted_prior()
    found = jax.grad(lambda p: p.kl_to_fitted_prior())(posterior)
    for name in ("a", "b"):
        m, s = posterior.mean[name], jnp.exp(posterior.log_std[name])
        np.testing.assert_allclose(found.mean[name], (m - mean) / variance, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found.log_std[name], s**2 / variance - 1, rtol=1e-3, atol=1e-5)


def test_samples_have_the_means_and_deviations_of_each_weight():
    posterior = made()
    samples = jax.vmap(posterior.sample)(jax.random.split(jax.random.key(0), 4000))
    for name in ("a", "b"):
        std = jnp.exp(posterior.log_std[name])
        np.testing.assert_allclose(samples[name].mean(0), posterior.mean[name], atol=0.08)
        np.testing.assert_allclose(samples[name].std(0), std, rtol=0.06)
    around = WeightPosterior.around({"a": jnp.ones(3)}, 0.075)
    np.testing.assert_allclose(jnp.exp(around.log_std["a"]), 0.075, rtol=1e-5)
