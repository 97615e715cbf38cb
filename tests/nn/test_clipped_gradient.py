"""Derivatives that are clipped where they arise."""

import jax
import jax.numpy as jnp
import numpy as np

from research.nn.clipped_gradient import clip_gradient


def test_values_pass_and_derivatives_are_clipped_element_by_element():
    x = jnp.array([1.0, -2.0, 0.5, 3.0])
    up = jnp.array([0.3, -7.0, 2.0, 40.0])
    value, back = jax.vjp(lambda x: clip_gradient(x, 2.0), x)
    np.testing.assert_array_equal(value, x)
    np.testing.assert_allclose(back(up)[0], [0.3, -2.0, 2.0, 2.0])
    np.testing.assert_array_equal(jax.vjp(lambda x: clip_gradient(x, 0.0), x)[1](up)[0], up)


def test_within_a_chain_the_clipped_derivative_is_what_goes_on():
    """Not the same as clipping the gradient at the end: 3 * clip(5) is 6, clip(15) is 2."""
    gradient = jax.grad(lambda x: 5.0 * clip_gradient(3.0 * x, 2.0))(1.0)
    assert gradient == 6.0
