"""The paper's RMSProp against its formula in NumPy."""

import jax.numpy as jnp
import numpy as np
import optax

from research.optim.centered_rmsprop import centered_rmsprop


def test_equals_numpy_over_many_steps():
    rng = np.random.default_rng(0)
    tx = centered_rmsprop(2.5e-4, 0.95, 0.9, 0.01)
    params = {"a": jnp.array(rng.normal(size=(3, 2)), jnp.float32)}
    state = tx.init(params)
    x, mean, square = np.array(params["a"], np.float64), 0.0, 0.0
    for _ in range(30):
        g = rng.normal(size=(3, 2)) + 0.5
        mean = 0.95 * mean + 0.05 * g
        square = 0.9 * square + 0.1 * g**2
        x = x - 2.5e-4 * g / np.sqrt(square - mean**2 + 0.01)
        updates, state = tx.update({"a": jnp.array(g, jnp.float32)}, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["a"], x, rtol=1e-5)


def test_scaling_the_gradient_and_the_constant_alike_changes_nothing():
    """Why the script divides the paper's 0.01 by batch^2: its loss is a mean, the paper's a sum."""
    g = jnp.array([0.3, -2.0, 0.01])
    total, mean = centered_rmsprop(0.1), centered_rmsprop(0.1, min_squared_gradient=0.01 / 32**2)
    summed_step, _ = total.update(32 * g, total.init(g))
    mean_step, _ = mean.update(g, mean.init(g))
    np.testing.assert_allclose(summed_step, mean_step, rtol=1e-5)


def test_equals_optax_with_one_decay():
    ours, theirs = (
        centered_rmsprop(0.1, 0.95, 0.95, 0.01),
        optax.rmsprop(0.1, 0.95, eps=0.01, centered=True),
    )
    params = jnp.zeros(3)
    states = ours.init(params), theirs.init(params)
    rng = np.random.default_rng(0)
    for _ in range(20):
        g = jnp.array(rng.normal(size=3), jnp.float32)
        a, first = ours.update(g, states[0])
        b, second = theirs.update(g, states[1])
        states = first, second
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_a_nearly_constant_gradient_gives_a_number():
    """There E[g^2] - E[g]^2 is rounded to below what is added to it."""
    rng = np.random.default_rng(0)
    tx = centered_rmsprop(0.1, min_squared_gradient=0.01 / 32**2)
    state, params, rounded = tx.init(jnp.zeros(50)), jnp.zeros(50), 0
    for _ in range(400):
        g = jnp.array(30 + 1e-3 * rng.normal(size=50), jnp.float32)
        step, state = tx.update(g, state, params)
        rounded += int((state.square - state.mean**2 < -1e-5).sum())
        assert jnp.isfinite(step).all() and (step < 0).all()
    assert rounded > 0
