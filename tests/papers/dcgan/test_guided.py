"""Guided gradients follow only what excites a unit."""

import jax
import jax.numpy as jnp
import numpy as np

from research.papers.dcgan import guided


def test_guided_gradient_stops_inhibition_and_closed_units():
    x = jnp.array([3.0, -2.0, 4.0])
    np.testing.assert_allclose(guided.guided_leaky_relu(x), [3, -0.4, 4])
    # Open and excited; closed; open but inhibiting.
    np.testing.assert_allclose(
        jax.grad(lambda v: (guided.guided_leaky_relu(v) * jnp.array([1.0, 1.0, -1.0])).sum())(x),
        [1, 0, 0],
    )


def test_response_gradient_is_that_of_the_strongest_position():
    images = jnp.zeros((2, 4, 4, 1)).at[0, 1, 2].set(5.0).at[1, 3, 0].set(2.0)
    gradient = guided.response_gradients(lambda x: jnp.concatenate([-x, 3 * x], -1), images, 1)
    assert gradient[0, 1, 2, 0] == 3 and gradient[1, 3, 0, 0] == 3
    assert jnp.count_nonzero(gradient) == 2
