import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.optim.momentum import (
    dropping,
    maxout_sgd,
    momentum_sgd,
    nesterov_rate_inside,
    without_norms,
)
from research.optim.schedules import warmup_and_drops


def test_rate_inside_decay_on_weights_and_a_rate_of_biases():
    rates, bias_rates = [0.1, 0.1, 0.01], [0.2, 0.02, 0.02]
    tx = momentum_sgd(lambda t: jnp.array(rates)[t], lambda t: jnp.array(bias_rates)[t], 0.9, 0.5)
    params = {"conv1": {"kernel": jnp.array([2.0]), "bias": jnp.array([1.0])}}
    state, values = tx.init(params), {"kernel": (2.0, 0.0), "bias": (1.0, 0.0)}
    for t, gradient in enumerate((0.3, -0.2, 0.1)):
        grads = jax.tree.map(lambda p, g=gradient: g + 0 * p, params)
        updates, state = tx.update(grads, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        for name, (rate, decay) in {
            "kernel": (rates[t], 0.5),
            "bias": (bias_rates[t], 0.0),
        }.items():
            w, v = values[name]
            v = 0.9 * v - decay * rate * w - rate * gradient
            values[name] = w + v, v
    for name, (w, _) in values.items():
        np.testing.assert_allclose(params["conv1"][name][0], w, rtol=1e-5)


def test_drops_at_shares_of_the_run():
    schedule = dropping(1.0, 100, (0.25, 0.5, 0.75), 250 ** (1 / 3))
    got = [float(schedule(t)) for t in (0, 25, 26, 60, 99)]
    root = 250 ** (-1 / 3)
    np.testing.assert_allclose(got[0], 1.0)
    np.testing.assert_allclose(got[2:], [root, root**2, 1 / 250], rtol=1e-5)
    assert dropping(0.3, 100, (), 1.0)(50) == 0.3


def weights_after(tx, gradients):
    w, state = jnp.zeros(3), tx.init(jnp.zeros(3))
    for g in gradients:
        updates, state = tx.update(g, state, w)
        w = w + updates
    return np.asarray(w)


def test_corrected_momentum_is_the_rate_outside_along_a_whole_schedule():
    schedule = warmup_and_drops(1.6, 0.1, "gradual", 10, (20, 30))
    gradients = jax.random.normal(jax.random.key(0), (40, 3))
    # In NumPy: v <- m v + g; w <- w - rate (g + m v).
    w, v = np.zeros(3), np.zeros(3)
    for t, g in enumerate(np.asarray(gradients, np.float64)):
        v = 0.9 * v + g
        w = w - float(schedule(t)) * (g + 0.9 * v)
    outside = weights_after(optax.sgd(schedule, 0.9, nesterov=True), gradients)
    inside = weights_after(nesterov_rate_inside(schedule, 0.9), gradients)
    np.testing.assert_allclose(outside, w, rtol=1e-4)
    np.testing.assert_allclose(inside, w, rtol=1e-4)
    uncorrected = weights_after(nesterov_rate_inside(schedule, 0.9, correct=False), gradients)
    assert np.abs(uncorrected - w).max() > 0.05 * np.abs(w).max()
    # While the rate is constant there is nothing to correct.
    for correct in (True, False):
        same = weights_after(nesterov_rate_inside(lambda _: 0.3, 0.9, correct), gradients)
        np.testing.assert_allclose(
            same, weights_after(optax.sgd(0.3, 0.9, nesterov=True), gradients), rtol=1e-4
        )


def test_norms_are_left_out_of_the_penalty_and_nothing_else():
    params = {
        "stem_conv": {"kernel": 1},
        "stem_norm": {"scale": 1, "bias": 1},
        "classifier": {"kernel": 1, "bias": 1},
    }
    assert without_norms(params) == {
        "stem_conv": {"kernel": True},
        "stem_norm": {"scale": False, "bias": False},
        "classifier": {"kernel": True, "bias": True},
    }


def test_the_training_of_maxout_networks_is_pylearn2s():
    """Rate 0.1 / 1.000004^t; momentum 0.5 in the first epoch and 0.7 in number 250."""
    tx = maxout_sgd(0.1, epoch_steps=2, momentum_epochs=3, rate_decay=2.0, min_rate=0.01)
    gradients = np.random.default_rng(0).normal(size=8)
    params, velocity, w = {"w": jnp.array(1.0)}, 0.0, 1.0
    state = tx.init(params)
    for t, g in enumerate(gradients):
        updates, state = tx.update({"w": jnp.float32(g)}, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        momentum = [0.5, 0.6, 0.7, 0.7][t // 2]
        velocity = momentum * velocity - max(0.1 / 2**t, 0.01) * g
        w += velocity
        np.testing.assert_allclose(params["w"], w, rtol=1e-5)
