"""Fine-tuning: what the task's layer sees, and which parameters come from where."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.gpt import GPT
from research.papers.gpt1.gpt_classifier import GPTClassifier, with_language_model

SIZES = dict(layers=2, dim=16, num_heads=2, head_dim=8, hidden=24, max_length=10, pre_norm=False)


def tokens(answers):
    return jax.random.randint(jax.random.key(answers), (3, answers, 8), 0, 13)


def build(num_classes, answers):
    model = GPTClassifier({**SIZES, "vocab_size": 13}, num_classes)
    last = jnp.full((3, answers), 5)
    return model, model.init(jax.random.key(0), tokens(answers), last, train=False), last


@pytest.mark.parametrize(("num_classes", "answers", "shape"), [(4, 1, (3, 4)), (0, 2, (3, 2))])
def test_shapes(num_classes, answers, shape):
    model, variables, last = build(num_classes, answers)
    logits, seen = model.apply(variables, tokens(answers), last, train=False)
    assert logits.shape == shape and seen["hidden"].shape == (3, answers, 8, 16)


def test_nothing_after_the_last_token_matters():
    model, variables, last = build(0, 2)
    changed = tokens(2).at[..., 6:].set(1)
    same = [model.apply(variables, t, last, train=False)[0] for t in (tokens(2), changed)]
    assert np.array_equal(*same)
    moved = model.apply(variables, tokens(2).at[..., 5].set(1), last, train=False)[0]
    assert not np.allclose(moved, same[0])


def test_similarity_has_no_order_and_choices_have():
    model, variables, last = build(3, 2)
    swapped = tokens(2)[:, ::-1]
    a, b = (model.apply(variables, t, last, train=False)[0] for t in (tokens(2), swapped))
    np.testing.assert_allclose(a, b, atol=1e-6)
    model, variables, last = build(0, 2)
    a, b = (model.apply(variables, t, last, train=False)[0] for t in (tokens(2), swapped))
    np.testing.assert_allclose(a, b[:, ::-1], atol=1e-6)


def test_pretrained_parameters_take_their_places():
    model, variables, last = build(2, 1)
    gpt = GPT(vocab_size=10, **SIZES)
    old = tokens(1)[:, 0] % 10
    pretrained = gpt.init(jax.random.key(5), old, train=False)["params"]
    params = with_language_model(variables["params"], pretrained)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, variables["params"])
    table = params["body"]["embedding"]
    assert np.array_equal(table[:10], pretrained["embedding"])
    assert np.array_equal(table[10:], variables["params"]["body"]["embedding"][10:])
    _, seen = model.apply({"params": params}, old[:, None], last, train=False)
    hidden, _ = gpt.apply({"params": pretrained}, old, train=False, method="encode")
    np.testing.assert_allclose(seen["hidden"][:, 0], hidden, atol=1e-5)
    np.testing.assert_allclose(np.std(table[10:]), 0.02, rtol=0.4)


@pytest.mark.parametrize(("num_classes", "answers"), [(3, 2), (0, 2)])
def test_the_layer_sees_the_dropped_state_of_the_last_token(num_classes, answers, monkeypatch):
    """Where dropout multiplies by 1.5: logits are those of the language model's hidden states."""
    monkeypatch.setattr(
        nn.Dropout, "__call__", lambda self, x, deterministic: x if deterministic else 1.5 * x
    )
    model, variables, last = build(num_classes, answers)
    for train, factor in ((True, 1.5), (False, 1.0)):
        apply = jax.jit(functools.partial(model.apply, train=train))
        logits, seen = apply(variables, tokens(answers), last)
        head = jax.tree.map(np.asarray, variables["params"]["head"])
        ends = factor * np.asarray(seen["hidden"])[:, :, 5]
        if num_classes:
            expected = ends.sum(1) @ head["kernel"] + head["bias"]
        else:
            expected = (ends @ head["kernel"] + head["bias"])[..., 0]
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_the_layer_starts_with_the_deviation_of_all_kernels():
    model = GPTClassifier({**SIZES, "layers": 1, "dim": 512, "vocab_size": 13}, 40)
    tokens_, last = jnp.zeros((1, 1, 4), jnp.int32), jnp.zeros((1, 1), jnp.int32)
    init = jax.jit(functools.partial(model.init, train=False))
    head = init(jax.random.key(0), tokens_, last)["params"]["head"]
    np.testing.assert_allclose(np.std(head["kernel"]), 0.02, rtol=0.03)
    assert not np.any(head["bias"])
