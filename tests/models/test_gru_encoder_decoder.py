"""The networks of Cho and of Bahdanau against their appendices, in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.gru_encoder_decoder import GRUEncoderDecoder

K, M, N, L, A = 9, 4, 5, 3, 6
SOURCE = np.array([[4, 5, 6, 7, 2], [8, 3, 2, 0, 0]], np.int32)
TARGET = np.array([[5, 6, 2, 0], [7, 7, 8, 2]], np.int32)

both = pytest.mark.parametrize("alignment", [0, A], ids=["encdec", "search"])


@functools.cache
def network(alignment):
    """Parameters far from where they start, where much is nearly zero."""
    model = GRUEncoderDecoder(K, K, M, N, L, alignment)
    params = jax.jit(model.init)(jax.random.key(0), SOURCE, TARGET)["params"]
    keys = iter(jax.random.split(jax.random.key(1), 100))
    return model, jax.tree.map(lambda p: 0.6 * jax.random.normal(next(keys), p.shape), params)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(cell, s, x, context=0.0):
    """A.1.1: the context is in all three gates, and the state is reset before its product."""
    z, r, g = np.split(x @ cell["input"]["kernel"] + cell["input"]["bias"] + context, 3)
    u_z, u_r, u = np.split(cell["recurrent"], 3, axis=1)
    z, r = sigmoid(z + s @ u_z), sigmoid(r + s @ u_r)
    return (1 - z) * s + z * np.tanh(g + (r * s) @ u)


def dense(layer, x):
    return x @ layer["kernel"] + layer.get("bias", 0.0)


def read(cell, vectors):
    states, s = [], np.zeros(N)
    for x in vectors:
        s = gru(cell, s, x)
        states.append(s)
    return states


def by_hand(p, source, target, alignment):
    """Logits and alignment of one pair."""
    words = [p["source_embedding"][t] for t in source if t != 0]
    forward = read(p["encoder"]["forward_cells_0"], words)
    if alignment:
        backward = read(p["encoder"]["backward_cells_0"], words[::-1])[::-1]
        h = np.array([np.r_[f, b] for f, b in zip(forward, backward, strict=True)])
        s = np.tanh(dense(p["first_state"], backward[0]))
    else:
        c = np.tanh(dense(p["summary"], forward[-1]))
        s = np.tanh(dense(p["first_state"], c))
    logits, weights = [], []
    for token in [1, *target[:-1]]:
        word = p["target_embedding"][token]
        if alignment:
            e = np.tanh(s @ p["W_a"] + p["b_a"] + h @ p["U_a"]) @ p["v_a"][:, 0]
            a = np.exp(e) / np.exp(e).sum()
            c = a @ h
            weights.append(np.pad(a, (0, len(source) - len(a))))
        new = gru(p["cell"], s, word, c @ p["context_kernel"])
        # Bahdanau's output looks at the state before, Cho's at the new one.
        seen = s if alignment else new
        t = dense(p["from_state"], seen) + dense(p["from_word"], word) + dense(p["from_context"], c)
        logits.append(dense(p["softmax"], np.maximum(t[0::2], t[1::2])))
        s = new
    return np.array(logits), np.array(weights)


@both
def test_network_is_its_equations(alignment):
    model, params = network(alignment)
    logits, seen = model.apply({"params": params}, SOURCE, TARGET)
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    for row in range(2):
        expected, weights = by_hand(params, SOURCE[row], TARGET[row], alignment)
        count = int((TARGET[row] != 0).sum())
        np.testing.assert_allclose(logits[row, :count], expected[:count], atol=1e-4)
        if alignment:
            np.testing.assert_allclose(seen["alignment"][row], weights, atol=1e-5)
            assert not np.any(seen["alignment"][row][:, SOURCE[row] == 0])


@both
def test_step_by_step_is_the_same_as_at_once(alignment):
    model, params = network(alignment)
    logits, _ = model.apply({"params": params}, SOURCE, TARGET)
    state = model.apply({"params": params}, SOURCE, 9, method="start")
    token = jnp.ones(2, int)
    for t in range(TARGET.shape[1]):
        state, found = model.apply({"params": params}, state, token, method="step")
        np.testing.assert_allclose(found, logits[:, t], atol=1e-5)
        token = TARGET[:, t]


@both
def test_padding_of_a_source_changes_nothing(alignment):
    model, params = network(alignment)
    padded = np.pad(SOURCE, ((0, 0), (0, 7)))
    a, _ = model.apply({"params": params}, SOURCE, TARGET)
    b, _ = model.apply({"params": params}, padded, TARGET)
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_parameters_start_as_appendix_b_says():
    model = GRUEncoderDecoder(60, 60, 40, 64, 32, 48)
    p = model.init(jax.random.key(0), SOURCE, TARGET)["params"]
    for cell in (p["cell"], p["encoder"]["forward_cells_0"], p["encoder"]["backward_cells_0"]):
        for u in np.split(np.asarray(cell["recurrent"]), 3, axis=1):
            np.testing.assert_allclose(u @ u.T, np.eye(64), atol=1e-5)
        assert np.std(cell["input"]["kernel"]) == pytest.approx(0.01, rel=0.1)
    assert not np.any(p["v_a"]) and not np.any(p["b_a"]) and not np.any(p["softmax"]["bias"])
    assert np.std(p["W_a"]) == pytest.approx(0.001, rel=0.1)
    assert np.std(p["U_a"]) == pytest.approx(0.001, rel=0.1)
    for name in ("source_embedding", "target_embedding", "context_kernel"):
        assert np.std(p[name]) == pytest.approx(0.01, rel=0.1)
    for name in ("from_state", "from_word", "from_context", "softmax", "first_state"):
        assert np.std(p[name]["kernel"]) == pytest.approx(0.01, rel=0.1)
