"""Cells against NumPy; lengths, directions and episodes against runs of each row alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.tree import named_leaves
from research.nn.recurrent import LSTM, RNN, GRUCell, LSTMCell, RNNCell

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


# --- cells ---

CELLS = {
    "lstm": functools.partial(LSTMCell, U),
    "lstm_closed": functools.partial(LSTMCell, U, forget_bias=-2.0),
    "lstm_projected": functools.partial(
        LSTMCell, U, projection=3, cell_clip=0.4, projection_clip=0.2
    ),
    "gru": functools.partial(GRUCell, U),
    "gru_after": functools.partial(GRUCell, U, reset_after=True),
    "rnn": functools.partial(RNNCell, U),
    "lstm_two_biases": functools.partial(LSTMCell, U, two_biases=True),
    "gru_two_biases": functools.partial(GRUCell, U, two_biases=True),
    "gru_after_two_biases": functools.partial(GRUCell, U, reset_after=True, two_biases=True),
    "rnn_two_biases": functools.partial(RNNCell, U, two_biases=True),
}
each_cell = pytest.mark.parametrize("name", CELLS)


def randomised(params, seed=7):
    """Parameters far from their start, where biases are zero and matrices orthogonal."""
    keys = iter(jax.random.split(jax.random.key(seed), 100))
    return jax.tree.map(lambda p: p + 0.5 * jax.random.normal(next(keys), p.shape), params)


def lstm_step(cell, params, carry, x):
    c, h = carry
    gates = x @ params["input"]["kernel"] + params["input"]["bias"] + h @ params["recurrent"]
    gates = gates + (params["recurrent_bias"] if cell.two_biases else 0.0)
    i, f, g, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f + cell.forget_bias) * c + sigmoid(i) * np.tanh(g)
    c = np.clip(c, -cell.cell_clip, cell.cell_clip) if cell.cell_clip else c
    h = sigmoid(o) * np.tanh(c)
    if cell.projection:
        h = np.clip(h @ params["projection"], -cell.projection_clip, cell.projection_clip)
    return (c, h), h


def gru_step(cell, params, h, x):
    wz, wr, wg = np.split(x @ params["input"]["kernel"] + params["input"]["bias"], 3, axis=-1)
    uz, ur, ug = np.split(params["recurrent"], 3, axis=-1)
    bz, br, bg = 0.0, 0.0, params.get("recurrent_bias", 0.0)
    if cell.two_biases:
        bz, br, bg = np.split(params["recurrent_bias"], 3)
    z, r = sigmoid(wz + h @ uz + bz), sigmoid(wr + h @ ur + br)
    if cell.reset_after:
        g = np.tanh(wg + r * (h @ ug + bg))
    else:
        g = np.tanh(wg + (r * h) @ ug + bg)
    h = (1 - z) * h + z * g
    return h, h


def rnn_step(cell, params, h, x):
    a = x @ params["input"]["kernel"] + params["input"]["bias"] + h @ params["recurrent"]
    h = np.tanh(a + (params["recurrent_bias"] if cell.two_biases else 0.0))
    return h, h


STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}


@each_cell
def test_a_cell_is_its_equations(name):
    cell = CELLS[name]()
    x = jax.random.normal(jax.random.key(0), (N, D))
    carry = jax.tree.map(lambda c: c + 0.3, cell.initial_carry(N))
    params = randomised(cell.init(jax.random.key(1), carry, x)["params"])
    new, out = cell.apply({"params": params}, carry, x)
    step = STEPS[name.split("_")[0]]
    arrays = jax.tree.map(lambda p: np.asarray(p, np.float64), (params, carry, x))
    expected, expected_out = step(cell, *arrays)
    np.testing.assert_allclose(out, expected_out, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), new, expected)
    assert out.shape == (N, cell.features)
    if name == "lstm_projected":
        assert np.any(np.abs(new[0]) == np.float32(0.4)) and np.any(np.abs(out) == np.float32(0.2))


@pytest.mark.parametrize("cell", [LSTMCell, functools.partial(GRUCell, reset_after=True)])
def test_parameters_start_as_asked(cell):
    start = functools.partial(jax.nn.initializers.uniform, 0.16)
    minus = jax.nn.initializers.constant(-0.08)
    made = cell(
        64,
        kernel_init=lambda *a: start()(*a) - 0.08,
        recurrent_init=minus,
        bias_init=jax.nn.initializers.constant(0.25),
    )
    params = made.init(jax.random.key(0), made.initial_carry(1), jnp.zeros((1, 32)))["params"]
    kernel = params["input"]["kernel"]
    assert -0.08 <= kernel.min() < -0.07 and 0.07 < kernel.max() <= 0.08
    assert np.all(params["recurrent"] == -0.08) and np.all(params["input"]["bias"] == 0.25)


def test_one_mask_of_recurrent_weights_serves_all_steps():
    """With all of them left out, or kept, nothing is left to chance."""
    x, key = jax.random.normal(jax.random.key(0), (N, T, D)), jax.random.key(5)
    net = RNN(functools.partial(LSTMCell, U, weight_dropout=0.5))
    params = net.init(jax.random.key(1), x)["params"]

    def kept(rate, **options):
        net = RNN(functools.partial(LSTMCell, U, weight_dropout=rate))
        return net.apply({"params": params}, x, **options).outputs

    train = dict(train=True, rngs={"dropout": key})
    cell = params["forward_cells_0"]
    without = {"forward_cells_0": {**cell, "recurrent": jnp.zeros_like(cell["recurrent"])}}
    np.testing.assert_allclose(
        kept(1.0, **train), net.apply({"params": without}, x).outputs, atol=1e-6
    )
    np.testing.assert_array_equal(kept(0.5), kept(0.0))
    # Two halves of a sequence under one key have one mask: the second goes on from the first.
    first = net.apply({"params": params}, x[:, :3], **train)
    second = net.apply({"params": params}, x[:, 3:], first.carry, **train)
    both = jnp.concatenate([first.outputs, second.outputs], axis=1)
    np.testing.assert_allclose(both, kept(0.5, **train), atol=1e-5)
    assert not np.allclose(both, kept(0.5))


# --- stacks ---

LENGTHS = np.array([4, T, 1])


@functools.cache
def stack(name="lstm", **options):
    """A stack, random parameters for it, and inputs `[N, T, D]`."""
    net = RNN(CELLS[name], **options)
    x = jax.random.normal(jax.random.key(0), (N, T, D))
    inputs = jnp.swapaxes(x, 0, 1) if net.time_major else x
    return net, randomised(jax.jit(net.init)(jax.random.key(1), inputs)["params"]), x


def close(a, b, atol=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), a, b)


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"bidirectional": True}], ids=str)
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_padded_row_is_as_if_it_were_alone(name, options):
    net, params, x = stack(name, num_layers=2, **options)
    run = jax.jit(lambda x, lengths: net.apply({"params": params}, x, lengths=lengths))
    found = run(x, LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone = net.apply({"params": params}, x[row : row + 1, :length])
        close(found.outputs[row, :length], alone.outputs[0])
        close(
            jax.tree.map(lambda c, row=row: c[row], found.carry),
            jax.tree.map(lambda c: c[0], alone.carry),
        )
        assert not np.any(found.outputs[row, length:])
    # What stands in the padding has no influence at all, not even on gradients.
    padding = np.arange(T)[None, :, None] >= LENGTHS[:, None, None]
    close(run(jnp.where(padding, 1e3, x), LENGTHS), found, atol=0)
    gradient = jax.grad(lambda x: (run(x, LENGTHS).outputs ** 2).sum())(x)
    assert not np.any(gradient[np.broadcast_to(padding, x.shape)]) and np.any(gradient)


@each_cell
def test_both_directions_are_two_runs_one_of_them_reversed(name):
    net, params, x = stack(name, bidirectional=True)
    found = net.apply({"params": params}, x)

    def alone(x, cell):
        return RNN(CELLS[name]).apply({"params": {"forward_cells_0": params[cell]}}, x)

    forward, backward = alone(x, "forward_cells_0"), alone(x[:, ::-1], "backward_cells_0")
    features = CELLS[name]().features
    close(found.outputs[..., :features], forward.outputs)
    close(found.outputs[..., features:], backward.outputs[:, ::-1])
    close(found.carry[0], (forward.carry[0][0], backward.carry[0][0]))
    one_way = RNN(CELLS[name], reverse=True)
    one_way = one_way.apply({"params": {"backward_cells_0": params["backward_cells_0"]}}, x)
    close(one_way.outputs, found.outputs[..., features:])


def test_layers_read_those_below():
    net, params, x = stack("lstm", num_layers=3)
    found = net.apply({"params": params}, x)
    below = x
    for layer, outputs in enumerate(found.layers):
        own = {"forward_cells_0": params[f"forward_cells_{layer}"]}
        alone = RNN(CELLS["lstm"]).apply({"params": own}, below)
        close(outputs, alone.outputs)
        close(found.carry[layer], alone.carry[0])
        below = outputs
    assert found.outputs is found.layers[-1] or np.array_equal(found.outputs, found.layers[-1])
    summed = net.clone(residual=True).apply({"params": params}, x)
    own = {"forward_cells_0": params["forward_cells_1"]}
    second = RNN(CELLS["lstm"]).apply({"params": own}, found.layers[0]).outputs
    close(summed.layers[1], found.layers[0] + second)
    close(summed.layers[0], found.layers[0])


def test_a_carry_goes_on_where_another_call_ended():
    net, params, x = stack("gru", num_layers=2)
    whole = net.apply({"params": params}, x)
    carry, outputs = None, []
    for t in range(T):
        found = net.apply({"params": params}, x[:, t : t + 1], carry)
        carry = found.carry
        outputs.append(found.outputs)
    close(jnp.concatenate(outputs, axis=1), whole.outputs)
    close(carry, whole.carry)
    zeros = net.apply({"params": params}, N, method="initial_carry")
    close(net.apply({"params": params}, x, zeros), whole, atol=0)


def test_time_major_is_the_same_with_axes_exchanged():
    net, params, x = stack("lstm", num_layers=2)
    first = jax.random.bernoulli(jax.random.key(3), 0.3, (N, T))
    options = dict(lengths=LENGTHS)
    found = net.apply({"params": params}, x, first=first, **options)
    other = net.clone(time_major=True)
    other = other.apply({"params": params}, jnp.swapaxes(x, 0, 1), first=first.T, **options)
    close(jnp.swapaxes(other.outputs, 0, 1), found.outputs, atol=0)
    close(other.carry, found.carry, atol=0)


def test_an_episode_begins_from_zeros_in_all_layers():
    net, params, x = stack("lstm", num_layers=2)
    carry = jax.tree.map(
        lambda c: c + 0.5, net.apply({"params": params}, N, method="initial_carry")
    )
    first = jnp.zeros((N, T), bool).at[1, 3].set(True)
    found = net.apply({"params": params}, x, carry, first=first)
    plain = net.apply({"params": params}, x, carry)
    fresh = net.apply({"params": params}, x[:, 3:])
    close(found.outputs[1, 3:], fresh.outputs[1])
    close(found.outputs[1, :3], plain.outputs[1, :3], atol=0)
    close(found.outputs[0], plain.outputs[0], atol=0)
    with pytest.raises(ValueError, match="forward"):
        stack(bidirectional=True)[0].apply({"params": stack(bidirectional=True)[1]}, x, first=first)


def test_dropout_is_between_layers_and_locked_if_asked():
    net, params, _ = stack("lstm", num_layers=2)
    x = jnp.ones((N, T, D))

    def train(seed, **options):
        dropping = net.clone(dropout=0.5, **options)
        return dropping.apply(
            {"params": params}, x, train=True, rngs={"dropout": jax.random.key(seed)}
        )

    plain = net.apply({"params": params}, x)
    close(train(0).layers[0], plain.layers[0], atol=0)  # what comes in is kept whole
    assert not np.allclose(train(0).outputs, plain.outputs)
    assert np.array_equal(train(0).outputs, train(0).outputs)
    assert not np.array_equal(train(0).outputs, train(1).outputs)

    # A second layer whose outputs depend on one feature each shows which were left out.
    second = jax.tree.map(jnp.zeros_like, params["forward_cells_1"])
    eye = jnp.concatenate([jnp.zeros((U, U))] * 2 + [jnp.eye(U)] + [jnp.zeros((U, U))], axis=1)
    second["input"]["kernel"] = 50.0 * eye
    params = {**params, "forward_cells_1": second}
    locked, free = (
        np.asarray(train(0, locked_dropout=locked).outputs) != 0 for locked in (True, False)
    )
    assert np.all(locked == locked[:, :1]), "one mask for all steps"
    assert locked.any() and not locked.all(), "of some features"
    assert not np.all(free == free[:, :1])


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_parameter_gets_a_gradient(name, bidirectional):
    net, params, x = stack(name, num_layers=2, bidirectional=bidirectional)

    def loss(params):
        # Parameters this large would meet the clipping everywhere.
        small = jax.tree.map(lambda p: 0.3 * p, params)
        return (net.apply({"params": small}, x, lengths=LENGTHS).outputs ** 2).sum()

    for path, grad in named_leaves(jax.jit(jax.grad(loss))(params)).items():
        assert np.abs(grad).max() > 1e-6, path


def test_both_directions_and_reverse_are_refused():
    with pytest.raises(ValueError, match="reverse"):
        RNN(CELLS["gru"], bidirectional=True, reverse=True).init(
            jax.random.key(0), jnp.zeros((N, T, D))
        )


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("reverse", [False, True])
def test_truncation_ends_the_gradient_and_changes_no_value(name, reverse):
    """From a row's last step it goes back through as many steps as are allowed, not one more."""
    lengths, limit = jnp.array([6, 3, 5]), 2
    x = jax.random.normal(jax.random.key(0), (N, T, D))
    whole = RNN(CELLS[name], reverse=reverse)
    short = RNN(CELLS[name], reverse=reverse, truncate_steps=limit)
    variables = whole.init(jax.random.key(1), x)

    def last(model, x):
        carry = model.apply(variables, x, lengths=lengths).carry[0][0]
        return jax.tree.leaves(carry)[-1]

    np.testing.assert_array_equal(last(whole, x), last(short, x))
    full, cut = (jax.grad(lambda x, m=m: (last(m, x) ** 2).sum())(x) for m in (whole, short))
    for row, length in enumerate(lengths):
        # Backward, the steps that are read last are the first ones.
        near = slice(0, limit) if reverse else slice(length - limit, length)
        reached = np.zeros(T, bool)
        reached[near] = True
        assert np.array_equal(np.any(cut[row] != 0, axis=-1), reached)
        assert np.array_equal(np.any(full[row] != 0, axis=-1), np.arange(T) < length)
        np.testing.assert_allclose(cut[row, near], full[row, near], rtol=1e-5, atol=1e-7)


def test_truncation_allows_every_step_its_own_gradient():
    """A loss at all steps goes back from each of them to where the last cut was."""
    x = jax.random.normal(jax.random.key(0), (1, T, D))
    model = RNN(CELLS["lstm"], truncate_steps=4)
    variables = model.init(jax.random.key(1), x)
    jacobian = jax.jacrev(lambda x: model.apply(variables, x).outputs.sum(-1)[0])(x)[:, 0]
    reached = np.any(np.asarray(jacobian) != 0, axis=-1)
    start = np.where(np.arange(T) < T - 4, 0, T - 4)
    for t in range(T):
        assert np.array_equal(reached[t], (np.arange(T) >= start[t]) & (np.arange(T) <= t))
