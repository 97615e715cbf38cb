"""Chains of products, counted on programs whose chains are plain to see."""

import jax
import jax.numpy as jnp
import pytest

from research.papers.transformer.sequential_operations import sequential_products

X, W = jnp.ones((2, 3)), jnp.ones((3, 3))


@pytest.mark.parametrize(
    ("function", "chain"),
    [
        (lambda x: x + 1, 0),
        (lambda x: x @ W @ W, 2),
        (lambda x: x @ W + jnp.tanh(x @ W), 1),
        (lambda x: (x @ W) * 2 + x @ W @ W @ W, 3),
        (jax.jit(lambda x: jax.checkpoint(lambda y: y @ W @ W)(x) @ W), 3),
        (lambda x: jax.lax.cond(True, lambda y: y @ W @ W, lambda y: y @ W, x), 2),
        (lambda x: jax.lax.scan(lambda c, _: (c @ W, None), x, None, length=5)[0] @ W, 6),
        # What a loop makes of its inputs alone, before it: one product.
        (lambda x: jax.lax.scan(lambda c, y: (c + y, None), x[0], x @ W)[0], 1),
    ],
)
def test_known_chains(function, chain):
    assert sequential_products(function, X) == chain


def test_a_loop_of_unknown_length_has_no_count():
    with pytest.raises(ValueError, match="unknown length"):
        sequential_products(lambda x: jax.lax.while_loop(jnp.any, lambda y: y - 1, x), X)
