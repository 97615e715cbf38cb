"""Returns of experience: of replayed windows, and of rollouts."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


def td_target(
    reward: jax.Array, next_value: jax.Array, terminated: jax.Array, gamma: float
) -> jax.Array:
    """One-step targets y = r + gamma V(s'), where nothing follows a termination: `[B]`.

    Args:
      reward: `[B]`.
      next_value: `[B]`, of the observation that the step led to.
      terminated: `[B]` bool: nothing of value follows.
      gamma: discount of one step.
    """
    return reward + gamma * jnp.where(terminated, 0.0, next_value)


class NStep(NamedTuple):
    """Returns over n steps, or fewer where an episode ended.

    Attributes:
      reward: `[B]`, sum of discounted rewards.
      discount: `[B]`, of the value that follows; 0 after termination.
      length: `[B]` int32, how many steps on that value's observation lies.
    """

    reward: jax.Array
    discount: jax.Array
    length: jax.Array


def n_step(reward: jax.Array, terminated: jax.Array, transition: jax.Array, gamma: float) -> NStep:
    """Computes n-step returns (Sutton and Barto, 2nd ed., eq. 7.1) of windows of n steps.

    A window may hold an episode's end: the sum stops there.

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
    goes_on = transition & ~jnp.pad(terminated[:, :-1], ((0, 0), (1, 0)))
    taken = jnp.cumprod(goes_on, axis=1).astype(bool)
    length = taken.sum(axis=1)

    powers = gamma ** jnp.arange(reward.shape[1], dtype=jnp.float32)
    total = jnp.where(taken, reward * powers, 0.0).sum(axis=1)
    over = (taken & terminated).any(axis=1)
    discount = jnp.where(over, 0.0, gamma ** length.astype(jnp.float32))
    return NStep(total, discount, length)


def lambda_returns(
    reward: jax.Array,
    next_value: jax.Array,
    terminated: jax.Array,
    ended: jax.Array,
    gamma: float,
    lambda_: float,
) -> jax.Array:
    """Computes the lambda-returns `[T, N]` of a rollout (Sutton and Barto, 2nd ed., eq. 12.18).

    Less the values `[T, N]` of the observations acted on they are the generalised advantage
    estimates of Schulman et al. 2015 (arXiv:1506.02438, eq. 16); with `lambda_` 1 they are n-step
    returns to the rollout's end, as A3C has them.

    Args:
      reward: `[T, N]`.
      next_value: `[T, N]`, of the observation that a step led to, before any reset.
      terminated: `[T, N]` bool: nothing of value follows.
      ended: `[T, N]` bool: the episode was over, terminated or truncated. A truncated step still
        counts the value of what it led to; no step counts anything of the next episode.
      gamma: discount of one step.
      lambda_: weight of longer returns.
    """

    def body(later: jax.Array, step: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        reward, value, terminated, ended = step
        follows = jnp.where(ended, value, value + lambda_ * (later - value))
        total = reward + gamma * jnp.where(terminated, 0.0, follows)
        return total, total

    steps = (reward, next_value, terminated, ended)
    return jax.lax.scan(body, next_value[-1], steps, reverse=True)[1]
