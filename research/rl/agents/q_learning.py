"""What agents with one value for each discrete action have in common."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def q_of_action(q: jax.Array, action: jax.Array) -> jax.Array:
    """Picks the values `[B]` of actions `[B]` out of those of all actions, `[B, A]`."""
    return jnp.take_along_axis(q, action[:, None], axis=1)[:, 0]


def epsilon_greedy(key: jax.Array, q: jax.Array, epsilon: jax.Array | float) -> jax.Array:
    """Chooses actions `[N]` from values `[N, A]`: the best, or with probability epsilon any."""
    explore_key, action_key = jax.random.split(key)
    explore = jax.random.uniform(explore_key, q.shape[:1]) < epsilon
    random = jax.random.randint(action_key, q.shape[:1], 0, q.shape[1])
    return jnp.where(explore, random, q.argmax(axis=1))
