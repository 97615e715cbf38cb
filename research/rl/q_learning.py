"""Pieces of Q-learning that more than one agent uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def of_action(q: jax.Array, action: jax.Array) -> jax.Array:
    """Values `[B]` of actions `[B]` out of those of all, `[B, A]`."""
    return jnp.take_along_axis(q, action[:, None], axis=1)[:, 0]


def epsilon_greedy(key: jax.Array, q: jax.Array, epsilon: jax.Array | float) -> jax.Array:
    """Actions `[N]` from values `[N, A]`: the best, or with probability epsilon any."""
    explore_key, action_key = jax.random.split(key)
    explore = jax.random.uniform(explore_key, q.shape[:1]) < epsilon
    random = jax.random.randint(action_key, q.shape[:1], 0, q.shape[1])
    return jnp.where(explore, random, q.argmax(axis=1))


def greedy_policy(
    model: nn.Module, epsilon: float
) -> Callable[[Any, jax.Array, jax.Array], jax.Array]:
    """The epsilon-greedy policy of a network of action values; its variables are `params`."""

    def act(params: Any, observation: jax.Array, key: jax.Array) -> jax.Array:
        q = model.apply({"params": params}, observation, train=False)[0]
        return epsilon_greedy(key, q, epsilon)

    return act
