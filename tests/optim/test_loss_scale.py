"""Scaling leaves values and float32 gradients alone, and saves what float16 would lose."""

import jax
import jax.numpy as jnp
import numpy as np

from research.optim.loss_scale import scale_gradient

PARAMS = {"w": jnp.array([0.3, -0.2]), "b": jnp.array(0.1)}


def loss(params, scale, size=1.0, dtype=jnp.float32):
    params = scale_gradient(params, 1 / scale)
    half = jax.tree.map(lambda p: p.astype(dtype), params)
    out = jnp.tanh(half["w"].sum() + half["b"]) * half["w"][0]
    return scale_gradient(out.astype(jnp.float32) * size, scale)


def test_values_and_gradients_are_those_without():
    plain, scaled = (jax.value_and_grad(loss)(PARAMS, scale) for scale in (1.0, 1024.0))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(scaled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_small_gradients_survive_float16_when_scaled():
    expected = jax.grad(loss)(PARAMS, 1.0, 1e-8)
    lost = jax.grad(loss)(PARAMS, 1.0, 1e-8, jnp.float16)
    kept = jax.grad(loss)(PARAMS, 2.0**20, 1e-8, jnp.float16)
    assert all(not np.any(g) for g in jax.tree.leaves(lost))
    for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(expected), strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=1e-2)
