"""BERT's counts, what its positions see, and its layers for tasks."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.models import bert
from research.models.sizes import BERT as PUBLISHED

SIZES = dict(
    vocab_size=13, layers=2, dim=16, num_heads=2, head_dim=8, hidden=32, max_length=8, init_std=0.3
)
TOKENS = jnp.array([[1, 5, 3, 7, 2, 9], [1, 4, 4, 2, 0, 0]])
SEGMENTS = jnp.array([[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]])
LENGTH = jnp.array([6, 4])


def count(model, *inputs):
    shapes = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), *inputs)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name):
    inputs = (TOKENS, SEGMENTS, LENGTH)
    assert count(bert.BERT(**PUBLISHED[name]), *inputs) == bert.PARAMETERS[name]
    pretraining = bert.BERTPretraining(PUBLISHED[name])
    assert count(pretraining, *inputs, TOKENS[:, :2]) == bert.PRETRAINING_PARAMETERS[name]


@functools.cache
def built(causal=False):
    model = bert.BERT(**SIZES, causal=causal)
    variables = jax.jit(functools.partial(model.init, train=False))(
        jax.random.key(0), TOKENS, SEGMENTS, LENGTH
    )
    return model, variables


@pytest.mark.parametrize("causal", [False, True])
def test_what_a_position_sees(causal):
    """Both sides, or the left one; never the padding."""
    model, variables = built(causal)

    def output(change):
        # How much the output at position 2 of each row moves with the input at each position.
        words = variables["params"]["embedding"][TOKENS] + change
        table = jnp.concatenate([variables["params"]["embedding"], words.reshape(-1, 16)])
        params = {**variables["params"], "embedding": table}
        tokens = 13 + jnp.arange(12).reshape(2, 6)
        wide = bert.BERT(**{**SIZES, "vocab_size": 25}, causal=causal)
        hidden, _ = wide.apply({"params": params}, tokens, SEGMENTS, LENGTH, train=False)
        return hidden[:, 2] @ jnp.arange(16.0)

    slopes = np.abs(jax.jit(jax.jacobian(output))(jnp.zeros((2, 6, 16)))).sum(-1)
    seen = slopes[np.arange(2), np.arange(2)] > 1e-4
    both = [[True] * 6, [True] * 4 + [False] * 2]
    left = [[True] * 3 + [False] * 3] * 2
    assert seen.tolist() == (left if causal else both)


def test_segments_and_places_tell_tokens_apart():
    model, variables = built()
    tokens, nothing = jnp.full((1, 4), 5), jnp.zeros((1, 4), int)
    hidden, seen = model.apply(
        variables, tokens, nothing, jnp.array([4]), train=False, keep_layers=True
    )
    assert seen["layers"].shape == (3, 1, 4, 16)
    assert not np.allclose(hidden[0, 1], hidden[0, 2], atol=1e-3)
    other, _ = model.apply(variables, tokens, nothing.at[0, 2].set(1), jnp.array([4]), train=False)
    assert not np.allclose(hidden[0, 2], other[0, 2], atol=1e-3)


def test_more_tokens_than_positions_are_refused():
    model, variables = built()
    wide = jnp.zeros((1, 9), int)
    with pytest.raises(UserError, match="9 tokens do not fit model.max_length=8"):
        model.apply(variables, wide, wide, jnp.array([9]), train=False)


@pytest.mark.parametrize(
    ("kind", "outputs", "dropped"),
    [("classification", 3, 1.5), ("tagging", 4, 1.5), ("spans", 2, 1.0)],
)
def test_layers_for_tasks(kind, outputs, dropped, monkeypatch):
    """Where dropout multiplies by 1.5: the layer sees the dropped output of the encoder."""
    monkeypatch.setattr(
        nn.Dropout,
        "__call__",
        lambda self, x, deterministic: x * (1.5 if self.rate and not deterministic else 1.0),
    )
    model = bert.BERTTask({**SIZES, "dropout": 0.0, "attention_dropout": 0.0}, kind, outputs)
    variables = model.init(jax.random.key(1), TOKENS, SEGMENTS, LENGTH, train=False)
    params = variables["params"]
    encoder = bert.BERT(**SIZES)
    hidden, seen = encoder.apply(
        {"params": params["encoder"]}, TOKENS, SEGMENTS, LENGTH, train=False
    )
    x = seen["pooled"] if kind == "classification" else hidden
    for train, factor in ((False, 1.0), (True, dropped)):
        logits, _ = model.apply(variables, TOKENS, SEGMENTS, LENGTH, train=train)
        expected = factor * x @ params["head"]["kernel"] + params["head"]["bias"]
        np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_only_kernels_and_tables_decay():
    params = jax.eval_shape(
        functools.partial(bert.BERTPretraining(SIZES).init, train=False),
        jax.random.key(0),
        TOKENS,
        SEGMENTS,
        LENGTH,
        TOKENS[:, :2],
    )["params"]
    marked = jax.tree_util.tree_flatten_with_path(bert.decayed(params))[0]
    names = {jax.tree_util.keystr(path, simple=True, separator="/"): on for path, on in marked}
    kept = {name for name, on in names.items() if not on}
    assert all(name.endswith(("bias", "scale")) for name in kept)
    assert {name for name in names if name.endswith(("bias", "scale"))} == kept
    assert names["encoder/pooler/kernel"] and names["next_sentence/kernel"]


def test_parameters_start_from_a_normal_that_is_cut_off():
    model = bert.BERT(**{**SIZES, "vocab_size": 3000, "init_std": 0.02})
    init = jax.jit(functools.partial(model.init, train=False))
    table = init(jax.random.key(0), TOKENS, SEGMENTS, LENGTH)["params"]["embedding"]
    # A normal of deviation 0.02, cut off at two of them, deviates by 0.0176.
    assert np.abs(table).max() <= 0.04
    np.testing.assert_allclose(np.std(table), 0.02 * 0.8796, rtol=0.02)
