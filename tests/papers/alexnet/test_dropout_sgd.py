import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.alexnet.dropout_sgd import dropout_sgd, rising


def test_is_the_appendix_word_for_word():
    """dw <- p dw - (1 - p) rate g; then columns no longer than the root of 15."""
    rng = np.random.default_rng(0)
    w = {"kernel": 2 * rng.normal(size=(5, 3)), "bias": 9 * rng.normal(size=3)}
    params = jax.tree.map(jnp.asarray, w)
    state, dw = dropout_sgd(1.0, 0.5, 15.0).init(params), jax.tree.map(np.zeros_like, w)
    for p, rate in ((0.5, 10.0), (0.7, 9.0), (0.99, 8.0)):
        grads = {name: rng.normal(size=value.shape) for name, value in w.items()}
        tx = dropout_sgd(rate, p, 15.0)
        updates, state = tx.update(jax.tree.map(jnp.asarray, grads), state, params)
        params = jax.tree.map(jnp.add, params, updates)
        for name in w:
            dw[name] = p * dw[name] - (1 - p) * rate * grads[name]
            w[name] = w[name] + dw[name]
        for unit in range(3):
            length = np.linalg.norm(w["kernel"][:, unit])
            w["kernel"][:, unit] *= min(1.0, np.sqrt(15.0) / length)
        for name in w:
            np.testing.assert_allclose(params[name], w[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("epoch", "expected"), [(0, 0.5), (250, 0.745), (500, 0.99), (900, 0.99)])
def test_momentum_rises_in_a_straight_line(epoch, expected):
    assert float(rising(jnp.int32(epoch), 0.5, 0.99, 500)) == pytest.approx(expected)
