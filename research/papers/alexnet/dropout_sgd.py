"""The training of Hinton et al. (2012, arXiv:1207.0580, appendix A.1) that goes with dropout.

In place of weight decay the weights of each unit have a largest length: so the learning rate can
start far above what a penalty would allow.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from research.optim.max_norm import projected


def dropout_sgd(
    learning_rate: float | jax.Array, momentum: float | jax.Array, max_squared_norm: float
) -> optax.GradientTransformation:
    """v <- p v - (1 - p) rate g; w <- w + v; then every unit's weights are `projected`.

    Args:
      learning_rate, momentum: rate and p, of the coming step (`optax.inject_hyperparams`).
      max_squared_norm: l, of all weights into one unit.
    """

    def update(grads: Any, velocity: Any, params: Any = None) -> tuple[Any, Any]:
        velocity = jax.tree.map(
            lambda v, g: momentum * v - (1 - momentum) * learning_rate * g, velocity, grads
        )
        new = projected(jax.tree.map(jnp.add, params, velocity), max_squared_norm)
        return jax.tree.map(jnp.subtract, new, params), velocity

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def rising(epoch: jax.Array, start: float, end: float, epochs: int) -> jax.Array:
    """The momentum of an epoch: from `start` to `end` in a straight line, in so many epochs."""
    return start + (end - start) * jnp.minimum(epoch / epochs, 1.0)
