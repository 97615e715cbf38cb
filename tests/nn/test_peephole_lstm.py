"""The cell against NumPy, and its clipped derivatives against those of a plain copy."""

import jax
import jax.numpy as jnp
import numpy as np

from research.nn.peephole_lstm import PeepholeLSTMCell
from research.nn.recurrent import unroll

T, N, D, U = 5, 3, 4, 6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def made(**options):
    cell = PeepholeLSTMCell(U, **options)
    x = jax.random.normal(jax.random.key(0), (T, N, D))
    variables = cell.init(jax.random.key(1), cell.initial_carry(N), x[0])
    params = dict(variables["params"])
    params["peepholes"] = jax.random.normal(jax.random.key(2), (3, U))
    return cell, {"params": params}, x


def test_equals_numpy():
    cell, variables, x = made(forget_bias=0.5)
    params = jax.tree.map(np.asarray, variables["params"])
    outputs, last = unroll(cell.bind(variables), cell.initial_carry(N), x)
    p_i, p_f, p_o = params["peepholes"]
    c = h = np.zeros((N, U))
    for t in range(T):
        given = x[t] @ params["input"]["kernel"] + params["input"]["bias"]
        i, f, g, o = np.split(np.asarray(given) + h @ params["recurrent"], 4, axis=-1)
        i, f = sigmoid(i + p_i * c), sigmoid(f + p_f * c + 0.5)
        c = f * c + i * np.tanh(g)
        h = sigmoid(o + p_o * c) * np.tanh(c)  # this gate sees the new cell
        np.testing.assert_allclose(outputs[t], h, atol=1e-5)
    np.testing.assert_allclose(last[0], c, atol=1e-5)


def test_derivatives_by_what_goes_into_the_gates_stay_in_the_range():
    """With an upstream of 100, what reaches the input's product is within it, and some at it."""
    cell, variables, x = made(gradient_clip=0.25)
    free, *_ = made()

    def upstream(cell):
        weights, given = cell.bind(variables).prepare(x[0])
        carry = jax.tree.map(lambda c: c + 0.5, cell.initial_carry(N))
        loss = lambda given: 100.0 * cell.bind(variables).step(weights, carry, given)[1].sum()  # noqa: E731
        return jax.grad(loss)(given)

    clipped, plain = upstream(cell), upstream(free)
    assert jnp.abs(plain).max() > 5 and jnp.abs(clipped).max() == 0.25
    # What o passes to c is clipped before it goes on, so that i, f and g may differ in sign alone
    # where nothing was clipped; o itself is the clipped plain one.
    read = slice(3 * U, None)
    np.testing.assert_allclose(clipped[:, read], np.clip(plain[:, read], -0.25, 0.25), rtol=1e-5)


def test_without_peepholes_it_is_the_plain_cell():
    from research.nn.recurrent import LSTMCell

    cell, variables, x = made()
    params = {**variables["params"], "peepholes": jnp.zeros((3, U))}
    plain = {name: params[name] for name in ("input", "recurrent")}
    ours, _ = unroll(cell.bind({"params": params}), cell.initial_carry(N), x)
    theirs, _ = unroll(LSTMCell(U).bind({"params": plain}), cell.initial_carry(N), x)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
