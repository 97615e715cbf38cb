"""Returns of what another policy did, with traces cut where this one would not do it.

Retrace, of values of actions: Munos et al., 2016, arXiv:1606.02647, with lambda = 1 in the
recursive form of ACER (Wang et al., 2016, arXiv:1611.01224, equation 5). V-trace, of values of
states: IMPALA (Espeholt et al., 2018, arXiv:1802.01561).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


def retrace(
    reward: jax.Array,
    q: jax.Array,
    next_value: jax.Array,
    ratio: jax.Array,
    terminated: jax.Array,
    ended: jax.Array,
    gamma: float,
    longest_trace: float = 1.0,
) -> jax.Array:
    """Targets `[T, N]` of the values of the actions taken.

    Args:
      reward: `[T, N]`.
      q: `[T, N]`, values of the actions taken.
      next_value: `[T, N]`, of the observation that a step led to, before any reset.
      ratio: `[T, N]`, the action's probability under the policy over that under the one that
        acted.
      terminated: `[T, N]` bool: nothing of value follows.
      ended: `[T, N]` bool: the episode was over, terminated or truncated. A truncated step still
        counts the value of what it led to; no step counts anything of the next episode.
      gamma: discount of one step.
      longest_trace: ratios are cut off there.
    """
    trace = jnp.minimum(ratio, longest_trace)

    def body(later: jax.Array, step: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        reward, q, value, trace, terminated, ended = step
        follows = value + jnp.where(ended, 0.0, later)
        target = reward + gamma * jnp.where(terminated, 0.0, follows)
        return trace * (target - q), target

    steps = (reward, q, next_value, trace, terminated, ended)
    return jax.lax.scan(body, jnp.zeros_like(q[-1]), steps, reverse=True)[1]


class VTrace(NamedTuple):
    """Attributes: target `[T, N]` of the values; advantage `[T, N]` of the actions taken, already
    times their ratio, for the policy's gradient (section 4.2)."""

    target: jax.Array
    advantage: jax.Array


def v_trace(
    reward: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    ratio: jax.Array,
    terminated: jax.Array,
    ended: jax.Array,
    gamma: float,
    largest_ratio: float = 1.0,
    longest_trace: float = 1.0,
    largest_advantage_ratio: float = 1.0,
) -> VTrace:
    """V-trace (equation 1, in the recursive form of remark 1).

    Args:
      reward, next_value, ratio, terminated, ended, gamma: as in `retrace`.
      value: `[T, N]`, of the observations acted on.
      largest_ratio: rho bar: ratios of temporal differences are cut off there.
      longest_trace: c bar: so are those of traces. The paper wants it to be no larger.
      largest_advantage_ratio: rho bar of the policy's gradient.
    """
    rho, trace = jnp.minimum(ratio, largest_ratio), jnp.minimum(ratio, longest_trace)

    def body(later: jax.Array, step: tuple[jax.Array, ...]) -> tuple[jax.Array, VTrace]:
        reward, value, following, ratio, rho, trace, terminated, ended = step
        onward = following + jnp.where(ended, 0.0, later)  # v of the state that was reached
        target = reward + gamma * jnp.where(terminated, 0.0, onward)
        error = reward + gamma * jnp.where(terminated, 0.0, following) - value
        more = gamma * trace * jnp.where(ended, 0.0, later)
        surplus = rho * error + more
        advantage = jnp.minimum(ratio, largest_advantage_ratio) * (target - value)
        return surplus, VTrace(value + surplus, advantage)

    steps = (reward, value, next_value, ratio, rho, trace, terminated, ended)
    return jax.lax.scan(body, jnp.zeros_like(value[-1]), steps, reverse=True)[1]
