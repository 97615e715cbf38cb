"""Demonstrations of an expert: pairs of observation and action, thinned out as in Ho and Ermon
(2016, arXiv:1606.03476)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.rl.envs.environments import Environment


class Demonstrations(NamedTuple):
    """Pairs of E episodes, at most P of each: shapes do not depend on how long these were.

    Attributes:
      observation: `[E, P, ...]` as the environment gave it.
      action: `[E, P]`, or `[E, P, A]` where continuous.
      present: `[E, P]` bool; False after the episode's end, where nothing is to be learned.
    """

    observation: jax.Array
    action: jax.Array
    present: jax.Array


def blank(env: Environment, max_steps: int, every_steps: int) -> Demonstrations:
    """Demonstrations of the shape of what `record` gives, with nothing in them."""
    size = env.num_envs, -(-max_steps // every_steps)  # rounded up
    seen = env.observation_space
    action = jnp.zeros((*size, env.action_size)) if env.action_size else jnp.zeros(size, jnp.int32)
    return Demonstrations(
        jnp.zeros((*size, *seen.shape), seen.dtype), action, jnp.zeros(size, bool)
    )


def record(
    env: Environment,
    act: Callable[[jax.Array, jax.Array], jax.Array],
    key: jax.Array,
    *,
    max_steps: int,
    every_steps: int,
) -> Demonstrations:
    """Records the first episode of each copy: every so many of its pairs, from a random offset.

    Args:
      env: as many copies as there are to be episodes; one that runs inside `jit`.
      act: `(observation [E, ...], key) -> action`.
      key: for the environment, the actions and the offsets.
      max_steps: no more of an episode than that are played.
      every_steps: 1 keeps all pairs.
    """
    reset_key, offset_key, key = jax.random.split(key, 3)
    observation, env_state = env.reset(reset_key)

    def body(carry: Any, key: jax.Array) -> tuple[Any, Any]:
        observation, env_state, present = carry
        act_key, env_key = jax.random.split(key)
        action = act(observation, act_key)
        next_observation, env_state, _, terminated, truncated, _ = env.step(
            env_key, env_state, action
        )
        still_present = present & ~(terminated | truncated)
        return (next_observation, env_state, still_present), (observation, action, present)

    start = observation, env_state, jnp.ones(env.num_envs, bool)
    # Whole strides, so that every offset finds a row for each of them.
    length = -(-max_steps // every_steps) * every_steps
    steps = jax.lax.scan(body, start, jax.random.split(key, length))[1]
    offset = jax.random.randint(offset_key, (env.num_envs,), 0, every_steps)
    rows = offset[:, None] + jnp.arange(0, length, every_steps)  # [E, P], of steps [length, E]
    observation, action, present = jax.tree.map(
        lambda x: x[rows, jnp.arange(env.num_envs)[:, None]], steps
    )
    return Demonstrations(observation, action, present & (rows < max_steps))
