import jax
import jax.numpy as jnp
import numpy as np

from research.training.momentum import dropping, momentum_sgd


def test_rate_inside_decay_on_weights_and_a_rate_of_biases():
    rates, bias_rates = [0.1, 0.1, 0.01], [0.2, 0.02, 0.02]
    tx = momentum_sgd(
        lambda t: jnp.array(rates)[t], lambda t: jnp.array(bias_rates)[t], 0.9, 0.5
    )
    params = {"conv1": {"kernel": jnp.array([2.0]), "bias": jnp.array([1.0])}}
    state, values = tx.init(params), {"kernel": (2.0, 0.0), "bias": (1.0, 0.0)}
    for t, gradient in enumerate((0.3, -0.2, 0.1)):
        grads = jax.tree.map(lambda p, g=gradient: g + 0 * p, params)
        updates, state = tx.update(grads, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        for name, (rate, decay) in {
            "kernel": (rates[t], 0.5), "bias": (bias_rates[t], 0.0)
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
