"""Weights that stay in a box."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.optim.weight_clipping import clip_weights


def test_all_parameters_are_clipped_after_the_update():
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(0, 0.02, (5, 4)), "bias": rng.normal(0, 0.02, 4)}
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    grads = jax.tree.map(jnp.sign, params)
    tx = optax.chain(optax.sgd(0.015), clip_weights(0.01))
    updates, _ = tx.update(grads, tx.init(params), params)
    after = optax.apply_updates(params, updates)
    for name in params:
        expected = np.clip(params[name] - 0.015 * grads[name], -0.01, 0.01)
        np.testing.assert_allclose(after[name], expected, atol=1e-8)
        assert (np.abs(expected) == np.float32(0.01)).any()


def test_the_parameters_are_asked_for():
    with pytest.raises(ValueError, match="params"):
        clip_weights(1.0).update({}, optax.EmptyState())
