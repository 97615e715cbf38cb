"""Returns of replayed windows of experience."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class NStep(NamedTuple):
    """Attributes: reward `[B]`, sum of discounted rewards; discount `[B]` of the value that
    follows; length `[B]` int32, how many steps on that value's observation lies."""

    reward: jax.Array
    discount: jax.Array
    length: jax.Array


def n_step(
    reward: jax.Array, terminated: jax.Array, transition: jax.Array, gamma: float
) -> NStep:
    """n-step returns (Sutton and Barto, 2nd ed., eq. 7.1) of windows that may hold an episode's
    end.

    Args:
      reward: `[B, n]`.
      terminated: `[B, n]` bool: nothing of value follows that step.
      transition: `[B, n]` bool, False where the episode was truncated before that step. The sum
        then ends there, and the value of the observation reached is still counted.
      gamma: discount of one step.

    Returns:
      The target is `reward + discount * value(observation[length])`.
    """
    # taken[:, j]: step j belongs to the return, nothing before it having ended the episode.
    on = transition & ~jnp.pad(terminated[:, :-1], ((0, 0), (1, 0)))
    taken = jnp.cumprod(on, axis=1).astype(bool)
    length = taken.sum(axis=1)
    powers = gamma ** jnp.arange(reward.shape[1], dtype=jnp.float32)
    total = jnp.where(taken, reward * powers, 0.0).sum(axis=1)
    over = (taken & terminated).any(axis=1)
    discount = jnp.where(over, 0.0, gamma ** length.astype(jnp.float32))
    return NStep(total, discount, length)
