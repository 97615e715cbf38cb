"""Chunked cross-entropy against the plain one: value, gradients, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.losses.tied_cross_entropy import tied_cross_entropy

B, T, D, V = 3, 8, 5, 23


def inputs(dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), 4)
    hidden = jax.random.normal(keys[0], (B, T, D), dtype)
    table = jax.random.normal(keys[1], (V, D))
    targets = jax.random.randint(keys[2], (B, T), 0, V)
    weights = jax.random.bernoulli(keys[3], 0.7, (B, T)).astype(jnp.float32)
    return hidden, table, targets, weights


def plain(hidden, table, targets, weights):
    log_probs = jax.nn.log_softmax(hidden.astype(jnp.float32) @ table.T)
    picked = jnp.take_along_axis(log_probs, targets[..., None], -1)[..., 0]
    return -jnp.sum(picked * weights) / jnp.sum(weights)


@pytest.mark.parametrize("chunks", [1, 2, 8])
def test_value_and_gradients(chunks):
    hidden, table, *rest = inputs()
    both = jax.value_and_grad(lambda h, t: 3.0 * tied_cross_entropy(h, t, *rest, chunks), (0, 1))
    value, grads = both(hidden, table)
    expected, wanted = jax.value_and_grad(lambda h, t: 3.0 * plain(h, t, *rest), (0, 1))(
        hidden, table
    )
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for got, want in zip(grads, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)
    undifferentiated = 3.0 * tied_cross_entropy(hidden, table, *rest, chunks)
    np.testing.assert_allclose(undifferentiated, value, rtol=1e-6)


def test_half_precision():
    hidden, table, *rest = inputs(jnp.bfloat16)
    value, grads = jax.value_and_grad(tied_cross_entropy, (0, 1))(hidden, table, *rest, 2)
    wanted = jax.grad(plain, (0, 1))(hidden, table, *rest)
    assert value.dtype == jnp.float32 and grads[1].dtype == jnp.float32
    assert grads[0].dtype == jnp.bfloat16
    np.testing.assert_allclose(value, plain(hidden, table, *rest), rtol=1e-2)
    for got, want in zip(grads, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=5e-3)


def test_no_weight_no_loss():
    hidden, table, targets, weights = inputs()
    assert tied_cross_entropy(hidden, table, targets, 0 * weights, 2) == 0.0


def test_chunks_bound_the_memory():
    shapes = [
        ((2, 512, 8), jnp.float32),
        ((4096, 8), jnp.float32),
        ((2, 512), jnp.int32),
        ((2, 512), jnp.float32),
    ]
    arguments = [jax.ShapeDtypeStruct(*shape) for shape in shapes]

    def temporary(chunks):
        step = jax.jit(jax.grad(lambda *a: tied_cross_entropy(*a, chunks), (0, 1)))
        return step.lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    assert temporary(16) < temporary(1) / 8
