"""A label's loss at every step of a sequence (Dai and Le, 2015, arXiv:1511.01432, section 3)."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def linear_gain(losses: jax.Array, lengths: jax.Array) -> jax.Array:
    """Weighs the losses of a sequence's steps, from 0 at the first one to 1 at the last.

        sum_t w_t l_t / sum_t w_t, w_t = (t - 1) / (T - 1) for t = 1 ... T

    The paper does not divide by the sum of the weights; so the loss is of the size of one step's.
    Of a single step the weight is 1.

    Args:
      losses: `[B, T]`, of the same label after each step.
      lengths: `[B]`, steps of each row, the rest being padding.

    Returns:
      `[B]`.
    """
    steps = jnp.arange(losses.shape[1])
    weights = jnp.where(
        lengths[:, None] > 1, steps / jnp.maximum(lengths[:, None] - 1, 1), steps == 0
    )
    weights = jnp.where(steps < lengths[:, None], weights, 0.0)
    return jnp.sum(weights * losses, axis=1) / jnp.sum(weights, axis=1)
