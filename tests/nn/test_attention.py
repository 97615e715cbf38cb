"""Multi-head attention against a loop in NumPy, its masks, and its cache."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn.attention import (
    MultiHeadAttention,
    attention_weights,
    cache_mask,
    causal_mask,
    empty_cache,
    extend_cache,
    padding_mask,
)

B, T, S, H, D, F = 2, 4, 5, 3, 2, 7


def reference(params, x, memory, mask):
    """One sentence, one head and one query at a time."""
    out = np.zeros((B, T, H * D))
    for b in range(B):
        q, k, v = (
            inputs[b] @ params[name]["kernel"]
            for inputs, name in ((x, "query"), (memory, "key"), (memory, "value"))
        )
        for h in range(H):
            part = slice(h * D, (h + 1) * D)
            for t in range(T):
                allowed = np.flatnonzero(mask[b, t])
                scores = k[allowed, part] @ q[t, part] / np.sqrt(D)
                weights = np.exp(scores - scores.max())
                out[b, t, part] = weights @ v[allowed, part] / weights.sum()
    return out @ params["out"]["kernel"]


@pytest.fixture
def parts():
    layer = MultiHeadAttention(H, D, F)
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(B, T, F)), rng.normal(size=(B, S, F))
    mask = rng.random((B, T, S)) < 0.6
    mask[..., 0] = True

    def attend(layer, x, memory, mask):
        return layer(x, layer.keys_values(memory), mask)

    variables = layer.init(jax.random.key(0), x, memory, mask[:, None], method=attend)
    return layer, attend, variables, x, memory, mask


def test_equals_a_loop(parts):
    layer, attend, variables, x, memory, mask = parts
    out, weights = layer.apply(variables, x, memory, mask[:, None], method=attend)
    np.testing.assert_allclose(out, reference(variables["params"], x, memory, mask), atol=1e-5)
    assert weights.shape == (B, H, T, S)
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-6)
    assert np.all(np.asarray(weights)[~np.repeat(mask[:, None], H, 1)] == 0.0)


def test_weights_are_those_the_output_is_made_with(parts):
    layer, attend, variables, x, memory, mask = parts
    out, weights = layer.apply(variables, x, memory, mask[:, None], method=attend)
    values = layer.apply(variables, memory, method="keys_values").values
    mixed = jnp.einsum("bhts,bshd->bthd", weights, values).reshape(B, T, H * D)
    np.testing.assert_allclose(mixed @ variables["params"]["out"]["kernel"], out, atol=1e-5)


def test_split_heads_keeps_every_number_and_merges_back(parts):
    layer, _, variables, *_ = parts
    x = np.arange(B * T * H * D).reshape(B, T, H * D)
    split = layer.apply(variables, x, method="split_heads")
    assert split.shape == (B, T, H, D)
    assert np.array_equal(split[..., 1, :], x[..., D : 2 * D])
    assert np.array_equal(split.reshape(B, T, -1), x)


def test_masks():
    assert np.array_equal(causal_mask(3)[0, 0], np.tril(np.ones((3, 3), bool)))
    valid = np.array([[True, True, False]])
    assert np.array_equal(padding_mask(valid)[0, 0, 0], valid[0])
    assert np.array_equal(cache_mask(4, 1)[0, 0, 0], [True, True, False, False])


def test_a_query_with_nothing_to_see_is_finite():
    weights = attention_weights(jnp.ones((1, 2, 1, 4)), jnp.ones((1, 3, 1, 4)), jnp.zeros(3, bool))
    np.testing.assert_allclose(weights, 1 / 3)


def test_softmax_is_float32_under_bfloat16():
    query, keys = (jax.random.normal(jax.random.key(i), (1, 64, 1, 8)) for i in range(2))
    low = [x.astype(jnp.bfloat16) for x in (query, keys)]
    weights = attention_weights(*low, jnp.ones((1, 1, 64, 64), bool))
    assert weights.dtype == jnp.float32
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-6)  # bfloat16 is off by 1e-3


def test_cache_filled_step_by_step_holds_the_whole_sequence(parts):
    layer, _, variables, x, *_ = parts
    whole = layer.apply(variables, x, method="keys_values")
    cache = empty_cache(B, T + 2, H, D, jnp.float32)
    for t in range(T):
        new = layer.apply(variables, x[:, t : t + 1], method="keys_values")
        cache = extend_cache(cache, new, t)
    for filled, expected in zip(cache, whole, strict=True):
        np.testing.assert_allclose(filled[:, :T], expected, atol=1e-6)
        assert not np.any(filled[:, T:])
