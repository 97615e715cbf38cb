"""Relation networks against plain loops over pairs, and what makes objects for them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.relation_network import (
    ConvObjects,
    FlattenedMLP,
    PairLayer,
    Reasoner,
    RelationNetwork,
    cell_coordinates,
)

B, N, Q, D, E = 2, 4, 3, 5, 6


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


OBJECTS, QUESTIONS = drawn(B, N, D), drawn(B, Q, E, seed=1)
NETWORK = RelationNetwork(g=(7, 8), f=(9,), num_answers=4)


@functools.cache
def variables():
    found = jax.jit(NETWORK.init)(jax.random.key(0), OBJECTS, QUESTIONS)
    # Biases of 0 would hide how often they are added.
    return jax.tree.map(lambda x: x + 0.05, found)


def apply(objects, questions, present=None):
    return NETWORK.apply(variables(), objects, questions, present)[0]


def relu(x):
    return np.maximum(x, 0)


def layer(params, x):
    return x @ np.asarray(params["kernel"]) + np.asarray(params["bias"])


def plain(objects, question, present):
    """f(sum_{i,j} g(o_i, o_j, q)) of one scene and one question, pair by pair."""
    params = variables()["params"]
    total = np.zeros(8)
    for i in range(len(objects)):
        for j in range(len(objects)):
            if present[i] and present[j]:
                pair = np.concatenate([objects[i], objects[j], question])
                total += relu(layer(params["g1"], relu(layer(params["g0"], pair))))
    f = params["f"]
    return layer(f["logits"], relu(layer(f["hidden0"], total)))


def test_the_first_layer_is_that_of_concatenations():
    pairs = PairLayer(7)
    params = {"kernel": drawn(2 * D + E, 7, seed=2), "bias": drawn(7, seed=3)}
    found = pairs.apply({"params": params}, OBJECTS, QUESTIONS)
    assert found.shape == (B, Q, N, N, 7)
    first = np.broadcast_to(OBJECTS[:, None, :, None], (B, Q, N, N, D))
    second = np.broadcast_to(OBJECTS[:, None, None], (B, Q, N, N, D))
    question = np.broadcast_to(QUESTIONS[:, :, None, None], (B, Q, N, N, E))
    expected = layer(params, np.concatenate([first, second, question], -1))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_network_is_a_sum_over_all_ordered_pairs():
    present = np.array([[True] * 4, [True, True, True, False]])
    found = apply(OBJECTS, QUESTIONS, present)
    for b in range(B):
        for q in range(Q):
            expected = plain(OBJECTS[b], QUESTIONS[b, q], present[b])
            np.testing.assert_allclose(found[b, q], expected, rtol=1e-4, atol=1e-4)


def test_the_order_of_objects_is_of_no_effect():
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(
        apply(OBJECTS[:, order], QUESTIONS), apply(OBJECTS, QUESTIONS), rtol=1e-5, atol=1e-5
    )
    rival = FlattenedMLP((9,), 4)
    params = rival.init(jax.random.key(0), OBJECTS, QUESTIONS)
    moved = rival.apply(params, OBJECTS[:, order], QUESTIONS)[0]
    assert np.abs(moved - rival.apply(params, OBJECTS, QUESTIONS)[0]).max() > 0.01


def test_padding_is_of_no_effect():
    present = np.array([[True, True, True, False]] * B)
    other = OBJECTS.copy()
    other[:, 3] = 100
    np.testing.assert_allclose(
        apply(other, QUESTIONS, present), apply(OBJECTS[:, :3], QUESTIONS), rtol=1e-5, atol=1e-5
    )


def test_questions_about_one_scene_are_answered_as_if_alone():
    together = apply(OBJECTS, QUESTIONS)
    alone = [apply(OBJECTS, QUESTIONS[:, q : q + 1])[:, 0] for q in range(Q)]
    np.testing.assert_allclose(together, np.stack(alone, 1), rtol=1e-5, atol=1e-5)
    assert np.abs(together[:, 0] - together[:, 1]).max() > 1e-3, "the question is heard"


def test_dropout_is_for_training_alone():
    network = NETWORK.clone(dropout=0.5)
    run = functools.partial(network.apply, variables(), OBJECTS, QUESTIONS)
    still = run()[0]
    np.testing.assert_array_equal(still, apply(OBJECTS, QUESTIONS))
    first, second = (
        run(train=True, rngs={"dropout": jax.random.key(seed)})[0] for seed in range(2)
    )
    assert np.abs(first - second).max() > 1e-3


def test_the_rival_is_an_mlp_of_everything_side_by_side():
    rival = FlattenedMLP((9, 8), 4)
    params = rival.init(jax.random.key(0), OBJECTS, QUESTIONS)["params"]["mlp"]
    present = np.array([[True, True, True, False]] * B)
    found = rival.apply({"params": {"mlp": params}}, OBJECTS, QUESTIONS, present)[0]
    seen = np.where(present[..., None], OBJECTS, 0)
    x = np.concatenate([seen[1].ravel(), QUESTIONS[1, 2]])
    hidden = relu(layer(params["hidden1"], relu(layer(params["hidden0"], x))))
    np.testing.assert_allclose(found[1, 2], layer(params["logits"], hidden), rtol=1e-4, atol=1e-5)


def test_cells_know_where_they_are():
    found = np.asarray(cell_coordinates(3, 5)).reshape(3, 5, 2)
    np.testing.assert_allclose(found[:, :, 0], [[-1, -0.5, 0, 0.5, 1]] * 3)
    np.testing.assert_allclose(found[:, :, 1], [[-1] * 5, [0] * 5, [1] * 5])


@pytest.mark.parametrize(("size", "cells"), [(128, 64), (75, 25)])
def test_an_image_becomes_objects(size, cells):
    conv = ConvObjects((24, 24, 24, 24))
    image = jnp.zeros((1, size, size, 3), jnp.uint8)
    objects, shapes = jax.eval_shape(
        functools.partial(conv.init_with_output, train=False), jax.random.key(0), image
    )
    assert objects.shape == (1, cells, 24 + 2)
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == 16_488


def test_batch_statistics_are_those_of_training_when_it_is_over():
    conv = ConvObjects((4,))
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    found = conv.init(jax.random.key(0), image)
    alone = conv.apply(found, image[:1])
    np.testing.assert_allclose(conv.apply(found, image)[:1], alone, rtol=1e-5, atol=1e-5)
    _, updated = conv.apply(found, image, train=True, mutable=["batch_stats"])
    before, after = found["batch_stats"]["norm0"]["mean"], updated["batch_stats"]["norm0"]["mean"]
    assert np.abs(after - before).max() > 1e-3


@functools.cache
def reader():
    model = Reasoner(
        RelationNetwork((8,), (8,), 4),
        vocab_size=9,
        embedding_size=3,
        sentence_units=4,
        question_units=5,
        num_tags=6,
    )
    inputs = {
        "sentences": jnp.array([[[1, 2, 0], [3, 4, 5]]]),
        "offset": jnp.array([0]),
        "question": jnp.array([[[6, 7, 0, 0]]]),
    }
    return model, inputs, jax.jit(model.init)(jax.random.key(0), inputs)


def test_sentences_are_tagged_with_their_positions():
    model, inputs, params = reader()
    tagged = functools.partial(model.apply, params, inputs["sentences"], method="tagged_sentences")
    first, moved = tagged(jnp.array([0])), tagged(jnp.array([3]))
    assert first.shape == (1, 2, 4 + 6)
    np.testing.assert_array_equal(first[..., :4], moved[..., :4])
    np.testing.assert_array_equal(first[0, :, 4:], np.eye(6)[[0, 1]])
    np.testing.assert_array_equal(moved[0, :, 4:], np.eye(6)[[3, 4]])


def test_a_sentence_is_read_to_its_own_end():
    model, inputs, params = reader()
    longer = jnp.pad(inputs["sentences"], ((0, 0), (0, 0), (0, 4)))
    expected = model.apply(params, inputs)[0]
    found = model.apply(params, {**inputs, "sentences": longer})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    turned = inputs["question"].at[0, 0, :2].set(jnp.array([7, 6]))
    other = model.apply(params, {**inputs, "question": turned})[0]
    assert np.abs(other - expected).max() > 1e-5, "the order of words counts"
