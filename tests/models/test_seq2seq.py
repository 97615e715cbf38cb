"""Sutskever's network against plain loops, and what passes from the encoder to the decoder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from research.models.seq2seq import Seq2Seq, reverse_words

V, U, LAYERS = 9, 5, 3
SOURCE = np.array([[4, 5, 6, 7, 2], [8, 3, 2, 0, 0]], np.int32)
TARGET = np.array([[5, 6, 2, 0], [7, 7, 8, 2]], np.int32)


@functools.cache
def network(**options):
    model = Seq2Seq(V, V, LAYERS, 4, U, init_scale=0.7, **options)
    params = jax.jit(model.init)(jax.random.key(0), SOURCE, TARGET)["params"]
    return model, params


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(params, carry, x):
    """One step of all layers, as section 2 has it: no peepholes, nothing between the layers."""
    new = []
    for layer, (c, h) in enumerate(carry):
        cell = params[f"forward_cells_{layer}"]
        gates = x @ cell["input"]["kernel"] + cell["input"]["bias"] + h @ cell["recurrent"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        x = sigmoid(o) * np.tanh(c)
        new.append((c, x))
    return new


def by_hand(params, source, target):
    """Logits of one pair: the words backward, then the end; all layers' c and h go over."""
    words = [t for t in source if t not in (0, 2)]
    carry = [(np.zeros(U), np.zeros(U))] * LAYERS
    for token in [*words[::-1], 2]:
        carry = lstm(params["encoder"], carry, params["source_embedding"][token])
    logits = []
    for token in [1, *target[:-1]]:
        carry = lstm(params["decoder"], carry, params["target_embedding"][token])
        logits.append(carry[-1][1] @ params["softmax"]["kernel"] + params["softmax"]["bias"])
    return np.array(logits)


def test_network_is_two_deep_lstms_that_share_their_last_states():
    model, params = network()
    logits, _ = model.apply({"params": params}, SOURCE, TARGET)
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    for row in range(2):
        expected = by_hand(params, SOURCE[row], TARGET[row])
        count = int((TARGET[row] != 0).sum())
        np.testing.assert_allclose(logits[row, :count], expected[:count], atol=1e-5)


def test_words_are_reversed_and_padding_is_not():
    lengths = jnp.sum(SOURCE != 0, axis=1)
    expected = [[7, 6, 5, 4, 2], [3, 8, 2, 0, 0]]
    assert reverse_words(SOURCE, lengths).tolist() == expected
    assert reverse_words(jnp.array([[2, 0]]), jnp.array([1])).tolist() == [[2, 0]]


def test_a_forward_network_reads_what_a_reversed_one_reads_reversed():
    model, params = network()
    backward = np.array([[7, 6, 5, 4, 2], [3, 8, 2, 0, 0]], np.int32)
    a, _ = model.apply({"params": params}, SOURCE, TARGET)
    b, _ = model.clone(reverse=False).apply({"params": params}, backward, TARGET)
    np.testing.assert_array_equal(a, b)


def test_every_layer_hands_over_its_cells_and_outputs():
    """Each has an influence on the first logits through the decoder alone."""
    model, params = network()
    state = model.apply({"params": params}, SOURCE, 9, method="start")

    def first_logits(carry):
        _, logits = model.apply(
            {"params": params}, state._replace(carry=carry), jnp.ones(2, int), method="step"
        )
        return logits.sum()

    gradient = jax.grad(first_logits)(state.carry)
    assert len(gradient) == LAYERS
    assert all(np.abs(part).max() > 1e-4 for part in jax.tree.leaves(gradient))
    assert all(np.abs(part).max() > 1e-4 for part in jax.tree.leaves(state.carry))


def test_step_by_step_is_the_same_as_at_once():
    model, params = network()
    logits, _ = model.apply({"params": params}, SOURCE, TARGET)
    state = model.apply({"params": params}, SOURCE, 9, method="start")
    token = jnp.ones(2, int)
    for t in range(TARGET.shape[1]):
        state, found = model.apply({"params": params}, state, token, method="step")
        np.testing.assert_allclose(found, logits[:, t], atol=1e-5)
        token = TARGET[:, t]


def test_parameters_start_uniform():
    model = Seq2Seq(50, 50, 2, 16, 16)
    params = model.init(jax.random.key(0), SOURCE, TARGET)["params"]
    for leaf in jax.tree.leaves(params):
        assert np.abs(leaf).max() <= 0.08 and np.abs(leaf).max() > 0.06
        assert abs(leaf.mean()) < 0.03
