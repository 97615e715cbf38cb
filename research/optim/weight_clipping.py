"""Parameters that stay in a box (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, line 7)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax


def clip_weights(bound: float) -> optax.GradientTransformation:
    """Ends a chain: after the update every parameter is clipped to [-bound, bound].

    All of them: weights, biases, and what normalisation has.
    """

    def update(updates: Any, state: optax.EmptyState, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("clip_weights needs the params: update(updates, state, params)")
        clipped = jax.tree.map(lambda p, u: jnp.clip(p + u, -bound, bound) - p, params, updates)
        return clipped, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
