"""Guided back-propagation: gradients that show what a unit looks for.

Source: Springenberg et al. 2014, arXiv:1412.6806 (guided back-propagation): besides where the input
was negative, the gradient is stopped where it is itself negative, so that only paths that excite
the unit are drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


@jax.custom_vjp
def guided_leaky_relu(x: jax.Array) -> jax.Array:
    """Forward max(x, 0.2 x), as in DCGAN's discriminator; backward guided."""
    return jnp.maximum(x, 0.2 * x)


def _forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return guided_leaky_relu(x), x > 0


def _backward(positive: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (jnp.where(positive & (gradient > 0), gradient, 0),)


guided_leaky_relu.defvjp(_forward, _backward)


def response_gradients(
    maps: Callable[[jax.Array], jax.Array], images: jax.Array, channel: int
) -> jax.Array:
    """Gradient, in the images, of one feature map at the place where it responds most.

    With guided rectifiers in the network this is guided back-propagation.

    Args:
      maps: images `[N, H, W, C]` to activations `[N, h, w, F]`, each row of its own image only.
      images: `[N, H, W, C]`.
      channel: index into F.

    Returns:
      `[N, H, W, C]`.
    """
    return jax.grad(lambda x: maps(x)[..., channel].max((1, 2)).sum())(images)
