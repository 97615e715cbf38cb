"""Weights of a limited length."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.optim.max_norm import limit_norms, projected


def test_short_weights_and_biases_are_left_alone():
    params = {"fc": {"kernel": jnp.array([[3.0, 1.0], [4.0, 1.0]]), "bias": jnp.array([90.0, 0])}}
    found = projected(params, 15.0)["fc"]
    np.testing.assert_allclose((found["kernel"] ** 2).sum(0), [15.0, 2.0], rtol=1e-6)
    np.testing.assert_array_equal(found["bias"], [90.0, 0.0])


def test_updates_end_at_the_limit():
    params = {"kernel": jnp.array([[1.0, 0.1], [1.0, 0.1]])}
    tx = optax.chain(optax.sgd(1.0), limit_norms(3.75))
    grads = {"kernel": jnp.full((2, 2), -2.0)}
    updates, _ = tx.update(grads, tx.init(params), params)
    after = optax.apply_updates(params, updates)["kernel"]
    np.testing.assert_allclose(np.linalg.norm(after, axis=0), 3.75**0.5, rtol=1e-6)
    np.testing.assert_allclose(after[0], after[1])  # along the weights


def test_no_limit_changes_nothing():
    updates = {"kernel": jnp.ones((2, 2))}
    assert limit_norms(0.0).update(updates, optax.EmptyState(), None)[0] is updates


def test_the_parameters_are_asked_for():
    with pytest.raises(ValueError, match="params"):
        limit_norms(1.0).update({}, optax.EmptyState())
