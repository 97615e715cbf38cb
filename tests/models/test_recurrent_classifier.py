"""The classifier: padding, pooling, dropout of whole words, every word, and sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.tree import count_parameters
from research.models.recurrent_classifier import RecurrentClassifier, WordPredictor

V, E, U = 12, 4, 3
TOKENS = np.array([[5, 6, 7, 8, 9], [4, 5, 0, 0, 0], [9, 0, 0, 0, 0]], np.int32)
LENGTHS = np.array([5, 2, 1], np.int32)
POOLINGS = ("last", "mean", "max", "attention")


def reader(**changed):
    return {"vocab_size": V, "embedding": E, "units": U, **changed}


@functools.cache
def made(pooling="last", hidden=2, dropout=0.0, **changed):
    model = RecurrentClassifier(
        reader(**changed), pooling=pooling, attention=3, hidden=hidden, dropout=dropout
    )
    return model, jax.jit(model.init)(jax.random.key(0), TOKENS, LENGTHS)


def with_more_padding(tokens, count=30):
    """What stands at padding must not matter either."""
    return np.pad(tokens, ((0, 0), (0, count)), constant_values=3)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_thirty_pads_more_change_no_logit(cell, bidirectional):
    for pooling in POOLINGS if cell == "lstm" else ("last",):
        model, variables = made(pooling, cell=cell, bidirectional=bidirectional)
        apply = jax.jit(model.apply)
        logits, seen = apply(variables, TOKENS, LENGTHS)
        more, wide = apply(variables, with_more_padding(TOKENS), LENGTHS)
        np.testing.assert_allclose(more, logits, atol=1e-6)
        np.testing.assert_allclose(wide["weights"][:, :5], seen["weights"], atol=1e-6)
        assert not np.any(wide["weights"][:, 5:])
        np.testing.assert_allclose(seen["weights"].sum(1), 1.0, rtol=1e-5)
        if pooling == "last":
            alone, _ = model.apply(variables, TOKENS[1:2, :2], LENGTHS[1:2])
            np.testing.assert_allclose(alone[0], logits[1], atol=1e-6)


def test_last_is_the_state_after_the_last_word_of_both_directions():
    model, variables = made(hidden=0, bidirectional=True)
    params = variables["params"]
    _, seen = model.apply(variables, TOKENS, LENGTHS)
    np.testing.assert_allclose(seen["weights"][0], [0.5, 0, 0, 0, 0.5])
    np.testing.assert_allclose(seen["weights"][1], [0.5, 0.5, 0, 0, 0])
    outputs = model.apply(
        variables, TOKENS, LENGTHS, method=lambda m, t, n: m.read(t, n, train=False)
    ).outputs
    for row, length in enumerate(LENGTHS):
        vector = np.concatenate([outputs[row, length - 1, :U], outputs[row, 0, U:]])
        expected = vector @ params["head"]["kernel"] + params["head"]["bias"]
        logits, _ = model.apply(variables, TOKENS, LENGTHS)
        np.testing.assert_allclose(logits[row], expected, rtol=1e-5, atol=1e-6)


def test_the_classifier_has_a_hidden_layer_of_relus():
    model, variables = made(hidden=2)
    params = jax.tree.map(np.asarray, variables["params"])
    vectors = np.random.default_rng(0).normal(size=(4, U)).astype(np.float32)
    found = model.apply(variables, vectors, False, method="classify")
    hidden = np.maximum(vectors @ params["middle"]["kernel"] + params["middle"]["bias"], 0)
    expected = hidden @ params["head"]["kernel"] + params["head"]["bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_answer_after_the_last_word_is_the_answer():
    model, variables = made(hidden=2)
    every = model.apply(variables, TOKENS, LENGTHS, method="every_word")
    logits, _ = model.apply(variables, TOKENS, LENGTHS)
    assert every.shape == (3, 5, 2)
    np.testing.assert_allclose(every[np.arange(3), LENGTHS - 1], logits, atol=1e-6)
    begun, _ = model.apply(variables, TOKENS[:1, :3], np.array([3]))
    np.testing.assert_allclose(every[0, 2], begun[0], atol=1e-6)


def test_word_dropout_leaves_out_whole_words_in_training_alone():
    """With one word a row, a dropped word gives the logits of a zero vector, none else."""
    rate = 0.5
    model, variables = made(hidden=0, word_dropout=rate)
    tokens, lengths = np.full((400, 1), 7, np.int32), np.ones(400, np.int32)
    train = jax.jit(
        lambda key: model.apply(variables, tokens, lengths, train=True, rngs={"dropout": key})[0]
    )
    logits = np.asarray(train(jax.random.key(1)))

    def of_vector(scale):
        table = scale * variables["params"]["reader"]["embedding"]
        params = {**variables["params"]["reader"], "embedding": table}
        changed = {"params": {**variables["params"], "reader": params}}
        return np.asarray(model.apply(changed, tokens[:1], lengths[:1])[0][0])

    dropped = np.all(np.isclose(logits, of_vector(0.0), atol=1e-6), axis=1)
    kept = np.all(np.isclose(logits, of_vector(1 / (1 - rate)), atol=1e-6), axis=1)
    assert np.all(dropped ^ kept) and 0.4 < dropped.mean() < 0.6
    plain, _ = model.apply(variables, tokens, lengths)
    np.testing.assert_allclose(plain[0], of_vector(1.0), atol=1e-6)


def test_dropout_before_the_classifier_is_for_training_alone():
    model, variables = made(hidden=0, dropout=0.5)
    vectors = np.ones((300, U), np.float32)
    classify = functools.partial(model.apply, variables, vectors, method="classify")
    logits = np.asarray(classify(True, rngs={"dropout": jax.random.key(0)}))
    kernel = np.asarray(variables["params"]["head"]["kernel"])
    masks = np.array(np.meshgrid(*[[0, 2]] * U)).reshape(U, -1).T @ kernel
    near = np.abs(logits[:, None] - masks).max(-1).min(1)
    assert near.max() < 1e-5 and len(np.unique(logits.round(5), axis=0)) == 2**U
    np.testing.assert_allclose(classify(False), np.broadcast_to(kernel.sum(0), (300, 2)), rtol=1e-5)


def test_sizes_are_those_of_the_layers():
    """A layer of LSTM cells has 4 h (i + h + 1) parameters."""
    model = RecurrentClassifier(reader(layers=2, bidirectional=True), hidden=5)
    variables = jax.eval_shape(model.init, jax.random.key(0), TOKENS, LENGTHS)
    lstm = lambda i: 4 * U * (i + U + 1)  # noqa: E731
    expected = V * E + 2 * lstm(E) + 2 * lstm(2 * U) + (2 * U * 5 + 5) + (5 * 2 + 2)
    assert sum(count_parameters(variables).values()) == expected


def test_words_are_predicted_from_those_before():
    model = WordPredictor(reader())
    variables = jax.jit(model.init)(jax.random.key(0), TOKENS, LENGTHS)

    def logits(table_rows):
        params = dict(variables["params"])
        params["reader"] = {**params["reader"], "embedding": table_rows}
        return model.apply({"params": params}, TOKENS[:1], LENGTHS[:1])[0][0]

    table = variables["params"]["reader"]["embedding"]
    jacobian = np.asarray(jax.jacrev(logits)(table))  # [T, V, V, E]
    reached = np.any(jacobian != 0, axis=(1, 3))
    for t in range(5):
        assert set(np.flatnonzero(reached[t])) == set(TOKENS[0, : t + 1].tolist())


def test_cells_are_clipped():
    model, variables = made(cell_clip=0.01)
    _, free = made()
    carry = model.apply(
        variables, TOKENS, LENGTHS, method=lambda m, t, n: m.read(t, n, train=False)
    ).carry
    assert float(jnp.abs(carry[0][0][0]).max()) <= 0.01
    assert jax.tree.map(jnp.shape, free) == jax.tree.map(jnp.shape, variables)
