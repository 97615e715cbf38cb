"""Additive attention and neighbourhood attention against loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn.additive_attention import AdditiveScore, masked_softmax
from research.papers.one_shot_imitation.neighborhood_attention import NeighborhoodAttention
from research.papers.one_shot_imitation.scenes import Scene

N, B, D, P, R, H, A, F = 3, 4, 5, 2, 3, 2, 6, 7


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    present = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 0]], bool)
    scene = Scene(rng.normal(size=(N, R)), rng.normal(size=(N, B, P)), present)
    hidden = rng.normal(size=(N, B, D))
    layer = NeighborhoodAttention(F, H, A)
    variables = layer.init(jax.random.key(0), hidden, scene)
    bias = {"bias": jnp.asarray(rng.normal(size=H * A))}
    variables["params"]["score"]["query"] |= bias
    return layer, variables, hidden, scene


def reference(params, hidden, scene):
    """One thing, one head and one neighbour at a time."""
    score, out = params["score"], np.zeros((N, B, F))
    for n in range(N):
        for i in range(B):
            q = hidden[n, i] @ score["query"]["kernel"] + score["query"]["bias"]
            found = []
            for h in range(H):
                part, values, memory = slice(h * A, (h + 1) * A), [], []
                for j in range(B):
                    if scene.present[n, j]:
                        c = hidden[n, j] @ score["context"]["kernel"]
                        values.append(np.tanh(q[part] + c[part]) @ score["v"][:, h])
                        memory.append(np.concatenate([scene.things[n, j], hidden[n, j]]))
                weights = np.exp(np.array(values))
                found.append(weights / weights.sum() @ np.array(memory))
            row = np.concatenate([hidden[n, i], *found, scene.things[n, i], scene.robot[n]])
            out[n, i] = row @ params["out"]["kernel"] + params["out"]["bias"]
    return out


def test_neighborhood_attention_equals_a_loop(parts):
    layer, variables, hidden, scene = parts
    params = jax.tree.map(np.asarray, variables["params"])
    got = layer.apply(variables, hidden, scene)
    np.testing.assert_allclose(got, reference(params, hidden, scene), atol=1e-5)


def test_things_that_are_not_there_do_not_matter(parts):
    layer, variables, hidden, scene = parts
    there = scene.present[..., None]
    other = scene._replace(things=np.where(there, scene.things, 9.0))
    got = layer.apply(variables, np.where(there, hidden, -7.0), other)
    expected = layer.apply(variables, hidden, scene)
    np.testing.assert_allclose(got[scene.present], expected[scene.present], atol=1e-6)


def test_other_order_of_things_other_order_of_outputs(parts):
    layer, variables, hidden, scene = parts
    order = np.array([2, 0, 3, 1])
    moved = Scene(scene.robot, scene.things[:, order], scene.present[:, order])
    expected = layer.apply(variables, hidden, scene)[:, order]
    np.testing.assert_allclose(layer.apply(variables, hidden[:, order], moved), expected, atol=1e-5)


def test_additive_score_broadcasts():
    score = AdditiveScore(H, A)
    query, context = jnp.ones((N, 1, D)), jax.random.normal(jax.random.key(0), (1, B, F))
    variables = score.init(jax.random.key(1), query, context)
    got = score.apply(variables, query, context)
    assert got.shape == (N, B, H)
    np.testing.assert_allclose(got[0], score.apply(variables, query[0], context[0]), atol=1e-6)


def test_masked_softmax():
    weights = masked_softmax(jnp.zeros((2, 3)), jnp.array([[1, 0, 1], [0, 0, 0]], bool), axis=1)
    np.testing.assert_allclose(weights, [[0.5, 0, 0.5], [1 / 3] * 3], atol=1e-6)
