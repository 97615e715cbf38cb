"""The LSTM against NumPy; it forgets where an episode begins, and only there."""

import jax
import jax.numpy as jnp
import numpy as np

from research.nn.recurrent import LSTM

T, N, D, U = 6, 3, 4, 5


def made():
    x = jax.random.normal(jax.random.key(0), (T, N, D))
    carry = tuple(jax.random.normal(jax.random.key(1), (2, N, U)))
    first = jax.random.bernoulli(jax.random.key(2), 0.3, (T, N))
    variables = LSTM(U).init(jax.random.key(3), carry, x, first)
    return variables, carry, x, first


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_equals_numpy():
    variables, carry, x, first = made()
    outputs, last = LSTM(U).apply(variables, carry, x, first)
    params = jax.tree.map(np.asarray, variables["params"])
    assert first.any() and not first.all()
    for i in range(N):
        cell, out = np.asarray(carry[0][i]), np.asarray(carry[1][i])
        for t in range(T):
            if first[t, i]:
                cell, out = np.zeros(U), np.zeros(U)
            gates = np.asarray(x[t, i]) @ params["input"]["kernel"] + params["input"]["bias"]
            write, forget, new, read = np.split(gates + out @ params["recurrent"], 4)
            cell = sigmoid(forget + 1) * cell + sigmoid(write) * np.tanh(new)
            out = sigmoid(read) * np.tanh(cell)
            np.testing.assert_allclose(outputs[t, i], out, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(last[0][i], cell, rtol=1e-4, atol=1e-5)


def test_nothing_crosses_the_start_of_an_episode():
    variables, carry, x, _ = made()
    first = jnp.zeros((T, N), bool).at[3, 1].set(True)

    def later(x, carry):
        return (LSTM(U).apply(variables, carry, x, first)[0][3:] ** 2).sum(axis=(0, 2))

    by_x, by_carry = jax.jacrev(later, argnums=(0, 1))(x, carry)
    assert (by_x[1, :3, 1] == 0).all() and (by_x[1, 3:, 1] != 0).any()
    assert all((part[1] == 0).all() for part in by_carry)
    for i in (0, 2):
        assert (by_x[i, :, i] != 0).any(axis=-1).all() and (by_carry[0][i, i] != 0).any()


def test_step_by_step_is_the_same():
    variables, carry, x, first = made()
    whole, last = LSTM(U).apply(variables, carry, x, first)
    for t in range(T):
        out, carry = LSTM(U).apply(variables, carry, x[t : t + 1], first[t : t + 1])
        np.testing.assert_allclose(out[0], whole[t], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(carry[0], last[0], rtol=1e-4, atol=1e-6)
