"""The network against plain loops, its start, its dropout, and prompts of several lengths."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.char_rnn import CharRNN

V, U, LAYERS, T = 7, 5, 2, 6
TOKENS = np.array([[1, 4, 2, 2, 6, 0], [3, 3, 5, 1, 0, 2]], np.int32)


@functools.cache
def network(cell="lstm", **options):
    model = CharRNN(V, cell, LAYERS, U, init_scale=0.7, **options)
    return model, jax.jit(model.init)(jax.random.key(0), TOKENS)["params"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(layer, carry, x):
    c, h = carry
    gates = x @ layer["input"]["kernel"] + layer["input"]["bias"]
    gates = gates + h @ layer["recurrent"] + layer["recurrent_bias"]
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (c, h), h, (np.tanh(c), sigmoid(i), sigmoid(f), sigmoid(o))


def gru(layer, h, x):
    wx = np.split(x @ layer["input"]["kernel"] + layer["input"]["bias"], 3)
    u, b = np.split(layer["recurrent"], 3, axis=1), np.split(layer["recurrent_bias"], 3)
    z, r = (sigmoid(wx[k] + h @ u[k] + b[k]) for k in (0, 1))
    h = (1 - z) * h + z * np.tanh(wx[2] + (r * h) @ u[2] + b[2])  # reset before the product
    return h, h, ()


def rnn(layer, h, x):
    a = x @ layer["input"]["kernel"] + layer["input"]["bias"]
    h = np.tanh(a + h @ layer["recurrent"] + layer["recurrent_bias"])
    return h, h, ()


def by_hand(step, zeros, params, tokens):
    """Logits of one text, and what the steps of each layer show."""
    carries, logits, seen = [zeros] * LAYERS, [], []
    for token in tokens:
        x, shown = np.eye(V)[token], []
        for layer in range(LAYERS):
            cell = params["rnn"][f"forward_cells_{layer}"]
            carries[layer], x, look = step(cell, carries[layer], x)
            shown.append(look)
        logits.append(x @ params["decoder"]["kernel"] + params["decoder"]["bias"])
        seen.append(shown)
    return np.array(logits), seen


CELLS = {
    "lstm": (lstm, (np.zeros(U), np.zeros(U))),
    "gru": (gru, np.zeros(U)),
    "rnn": (rnn, np.zeros(U)),
}


@pytest.mark.parametrize("cell", CELLS)
def test_network_is_its_equations(cell):
    model, params = network(cell)
    logits, _ = model.apply({"params": params}, TOKENS)
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    for row in range(2):
        expected, _ = by_hand(*CELLS[cell], params, TOKENS[row])
        np.testing.assert_allclose(logits[row], expected, atol=1e-5)


def test_trace_is_what_the_steps_show():
    model, params = network()
    trace = model.apply({"params": params}, TOKENS, method="trace")
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    found = trace.cells, trace.gates.write, trace.gates.forget, trace.gates.read
    for row in range(2):
        _, seen = by_hand(*CELLS["lstm"], params, TOKENS[row])
        for t in range(T):
            for layer in range(LAYERS):
                for values, expected in zip(found, seen[t][layer], strict=True):
                    np.testing.assert_allclose(values[layer, row, t], expected, atol=1e-5)


def test_forget_gates_start_at_their_bias_and_all_else_is_uniform():
    model = CharRNN(65, "lstm", 2, 64, forget_bias=1.0)
    params = model.init(jax.random.key(0), TOKENS)["params"]
    for layer in range(2):
        bias = params["rnn"][f"forward_cells_{layer}"]["input"].pop("bias")
        assert np.all(bias[64:128] == 1.0)
        others = np.delete(bias, np.s_[64:128])
        assert np.abs(others).max() <= 0.08 and others.std() == pytest.approx(0.0462, rel=0.15)
    for leaf in jax.tree.leaves(params):
        assert np.abs(leaf).max() <= 0.08 and leaf.std() == pytest.approx(0.08 / 3**0.5, rel=0.25)
    # So that a fresh cell keeps about e / (1 + e) of what it has.
    trace = model.apply({"params": network_params(model)}, TOKENS, method="trace")
    assert np.mean(trace.gates.forget) == pytest.approx(0.731, abs=0.02)


def network_params(model):
    return model.init(jax.random.key(1), TOKENS)["params"]


def test_dropout_is_between_layers_and_before_the_decoder_alone():
    model, params = network(dropout=0.5)
    train = {"train": True, "rngs": {"dropout": jax.random.key(3)}}
    plain, before = model.apply({"params": params}, TOKENS)
    logits, after = model.apply({"params": params}, TOKENS, **train)
    # The first layer reads and remembers what it did; the second reads less.
    jax.tree.map(np.testing.assert_array_equal, before["carry"][0], after["carry"][0])
    assert np.abs(before["carry"][1][0][1] - after["carry"][1][0][1]).max() > 1e-3
    assert not np.allclose(plain, logits)
    one = CharRNN(V, "lstm", 1, U, dropout=1.0)
    params = one.init(jax.random.key(0), TOKENS)["params"]
    logits, after = one.apply({"params": params}, TOKENS, **train)
    np.testing.assert_allclose(logits - params["decoder"]["bias"], 0.0, atol=1e-7)
    assert np.abs(after["carry"][0][0][1]).max() > 0


@pytest.mark.parametrize("cell", CELLS)
def test_carry_goes_on_where_a_text_was_left(cell):
    model, params = network(cell)
    whole, last = model.apply({"params": params}, TOKENS)
    first, seen = model.apply({"params": params}, TOKENS[:, :2])
    second, after = model.apply({"params": params}, TOKENS[:, 2:], seen["carry"])
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after, last)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_prompts_filled_up_in_front_go_on_as_alone(cell):
    model, params = network(cell)
    prompts = [TOKENS[0], TOKENS[1, :3], TOKENS[1, :1]]
    padded = np.zeros((3, T), np.int32)
    for row, prompt in zip(padded, prompts, strict=True):
        row[T - len(prompt) :] = prompt
    lengths = np.array([len(p) for p in prompts])
    state = model.apply({"params": params}, padded, lengths, 99, method="start")
    state, logits = model.apply({"params": params}, state, padded[:, -1], method="step")
    _, again = model.apply({"params": params}, state, jnp.array([1, 1, 1]), method="step")
    for row, prompt in enumerate(prompts):
        expected, _ = model.apply({"params": params}, np.append(prompt, 1)[None])
        np.testing.assert_allclose(logits[row], expected[0, -2], atol=1e-6)
        np.testing.assert_allclose(again[row], expected[0, -1], atol=1e-6)
