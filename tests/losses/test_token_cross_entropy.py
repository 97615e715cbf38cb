"""Smoothed cross-entropy against its definition, and averaging per token over micro-batches."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax

from research.core import Aux, Learner
from research.losses.token_cross_entropy import masked_mean, smoothed_cross_entropy

V = 7


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
def test_equals_cross_entropy_with_the_smoothed_distribution(epsilon):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 4, V)), rng.integers(V, size=(3, 4))
    target = (1 - epsilon) * np.eye(V)[labels] + epsilon / V
    expected = -np.sum(target * log_softmax(logits, axis=-1), axis=-1)
    np.testing.assert_allclose(smoothed_cross_entropy(logits, labels, epsilon), expected, rtol=1e-5)


def test_lowest_at_the_smoothed_distribution_itself():
    epsilon, labels = 0.1, jnp.array([2])
    best = jnp.log((1 - epsilon) * jax.nn.one_hot(labels, V) + epsilon / V)
    gradient = jax.grad(lambda x: smoothed_cross_entropy(x, labels, epsilon).sum())(best)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-6)
    # Spreading epsilon over V - 1 classes has another optimum: the conventions are not the same.
    others = jnp.log(jnp.where(jax.nn.one_hot(labels, V) == 1, 1 - epsilon, epsilon / (V - 1)))
    other = jax.grad(lambda x: smoothed_cross_entropy(x, labels, epsilon).sum())(others)
    assert np.abs(other).max() > 1e-3


def test_mean_is_per_token_and_an_empty_mask_is_finite():
    values, mask = jnp.array([[1.0, 3.0], [8.0, 99.0]]), jnp.array([[True, True], [True, False]])
    mean, count = masked_mean(values, mask)
    assert (mean, count) == (4.0, 3.0)
    assert masked_mean(values, jnp.zeros_like(mask)) == (0.0, 0.0)


def test_accumulated_micro_batches_are_averaged_over_all_tokens():
    rng = np.random.default_rng(1)
    batch = {
        "x": rng.normal(size=(4, 5, 3)).astype(np.float32),
        "y": rng.integers(V, size=(4, 5)),
        "mask": np.arange(5) < np.array([[5], [1], [4], [2]]),  # very unequal micro-batches
    }

    def update(accumulate):
        learner = Learner(nn.Dense(V), optax.sgd(1.0), accumulate=accumulate)
        state = learner.init(jax.random.key(0), batch["x"])

        def loss_fn(variables, batch, key):
            losses = smoothed_cross_entropy(learner.apply(variables, batch["x"]), batch["y"], 0.1)
            loss, count = masked_mean(losses, batch["mask"])
            return loss, Aux(weight=count)

        new, metrics = learner.minimize(state, loss_fn, batch, jax.random.key(1))
        return new.params["kernel"], metrics["loss"]

    for one, two in zip(update(1), update(2), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
