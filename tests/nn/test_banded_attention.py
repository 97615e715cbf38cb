"""Blocked attention against the same attention under a mask."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn import banded_attention
from research.nn.banded_attention import band_mask, causal_attention


def inputs(length):
    return jax.random.normal(jax.random.key(length), (3, 2, length, 2, 4))


def test_band_mask():
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert np.array_equal(band_mask(4, 2)[0, 0], expected)
    assert np.array_equal(band_mask(4, 0)[0, 0], np.tri(4))


@pytest.mark.parametrize("window", [0, 1, 2, 3, 5, 11, 12, 40])
@pytest.mark.parametrize("length", [12, 13])
def test_equals_the_masked_form(length, window):
    q, k, v = inputs(length)
    mask = band_mask(length, window)
    expected = jax.nn.dot_product_attention(q, k, v, mask=mask)
    np.testing.assert_allclose(causal_attention(q, k, v, window), expected, atol=1e-6)


def test_gradients_equal_those_of_the_masked_form():
    def loss(x, attend):
        return jnp.sum(jnp.sin(attend(*x)))

    def masked(q, k, v):
        return jax.nn.dot_product_attention(q, k, v, mask=band_mask(10, 4))

    blocked = jax.grad(loss)(inputs(10), lambda q, k, v: causal_attention(q, k, v, 4))
    np.testing.assert_allclose(blocked, jax.grad(loss)(inputs(10), masked), atol=1e-6)


def test_a_band_costs_less_than_the_square():
    def products(window):
        q, k, v = jnp.zeros((3, 1, 512, 1, 8))
        compiled = jax.jit(lambda *x: causal_attention(*x, window)).lower(q, k, v).compile()
        return compiled.cost_analysis()["flops"]

    assert products(32) < 0.2 * products(0)


def test_a_band_that_is_one_too_wide_is_caught(monkeypatch):
    q, k, v = inputs(12)
    plain = banded_attention._blocked
    monkeypatch.setattr(banded_attention, "_blocked", lambda *x: plain(*x[:3], x[3] + 1))
    expected = jax.nn.dot_product_attention(q, k, v, mask=band_mask(12, 3))
    assert np.abs(causal_attention(q, k, v, 3) - expected).max() > 1e-2
