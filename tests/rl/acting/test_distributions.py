"""Distributions of actions against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from research.rl.acting.distributions import Categorical, DiagonalNormal, distribution

RNG = np.random.default_rng(0)
LOGITS, OTHER = RNG.normal(size=(2, 5, 3)).astype(np.float32)
MEAN, LOG_STD, OTHER_MEAN, OTHER_LOG_STD = 0.5 * RNG.normal(size=(4, 5, 2)).astype(np.float32)


def test_categorical_equals_scipy():
    ours, p = Categorical(LOGITS), np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    q = np.exp(OTHER) / np.exp(OTHER).sum(-1, keepdims=True)
    action = np.array([0, 2, 1, 1, 0])
    np.testing.assert_allclose(ours.log_prob(action), np.log(p[np.arange(5), action]), rtol=1e-5)
    np.testing.assert_allclose(ours.entropy(), stats.entropy(p, axis=-1), rtol=1e-5)
    np.testing.assert_allclose(ours.kl(Categorical(OTHER)), stats.entropy(p, q, axis=-1), rtol=1e-4)
    np.testing.assert_array_equal(ours.mode(), LOGITS.argmax(-1))
    shifted = Categorical(LOGITS + 7)  # the constant does not count
    np.testing.assert_allclose(shifted.log_prob(action), ours.log_prob(action), rtol=1e-4)


def test_normal_equals_scipy():
    ours, std = DiagonalNormal(MEAN, LOG_STD), np.exp(LOG_STD)
    action = RNG.normal(size=(5, 2)).astype(np.float32)
    normal = stats.norm(MEAN, std)
    np.testing.assert_allclose(ours.log_prob(action), normal.logpdf(action).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(ours.entropy(), normal.entropy().sum(-1), rtol=1e-4)
    np.testing.assert_array_equal(ours.mode(), MEAN)
    other = stats.norm(OTHER_MEAN, np.exp(OTHER_LOG_STD))
    x = MEAN[None] + std * np.linspace(-10, 10, 4001)[:, None, None]
    density = normal.pdf(x)
    kl = np.trapezoid(density * (normal.logpdf(x) - other.logpdf(x)), x, axis=0).sum(-1)
    np.testing.assert_allclose(
        ours.kl(DiagonalNormal(OTHER_MEAN, OTHER_LOG_STD)), kl, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("ours", [Categorical(LOGITS), DiagonalNormal(MEAN, LOG_STD)], ids=type)
def test_samples_follow_their_own_density(ours):
    """The mean of -log p of samples is the entropy; the divergence from itself is zero."""
    actions = jax.vmap(ours.sample)(jax.random.split(jax.random.key(0), 20_000))
    surprise = -jax.vmap(ours.log_prob)(actions)
    np.testing.assert_allclose(surprise.mean(0), ours.entropy(), atol=0.03)
    np.testing.assert_allclose(ours.kl(ours), 0, atol=1e-6)


def test_made_from_what_a_network_gives():
    assert isinstance(distribution({"logits": jnp.zeros((1, 2))}), Categorical)
    normal = distribution({"mean": jnp.zeros((1, 2)), "log_std": jnp.ones((1, 2))})
    assert isinstance(normal, DiagonalNormal) and normal.log_std[0, 0] == 1
