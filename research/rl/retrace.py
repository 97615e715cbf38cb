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
    max_trace: float = 1.0,
) -> jax.Array:
    """Computes the Retrace targets `[T, N]` of the values of the actions taken (equation 5).

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
      max_trace: ratios are cut off there.
    """
    trace = jnp.minimum(ratio, max_trace)

    # From the last step back. `carry` is what the next step's target adds to the value of the
    # observation between them: its own cut trace times how far the target is from its value.
    def body(carry: jax.Array, step: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        reward, q, next_value, trace, terminated, ended = step
        corrected = next_value + jnp.where(ended, 0.0, carry)
        target = reward + gamma * jnp.where(terminated, 0.0, corrected)
        return trace * (target - q), target

    steps = (reward, q, next_value, trace, terminated, ended)
    return jax.lax.scan(body, jnp.zeros_like(q[-1]), steps, reverse=True)[1]


class VTrace(NamedTuple):
    """What V-trace gives a value network and a policy to learn from.

    Attributes:
      target: `[T, N]`, of the values.
      advantage: `[T, N]`, of the actions taken, already times their ratio, for the policy's
        gradient (section 4.2).
    """

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
    max_ratio: float = 1.0,
    max_trace: float = 1.0,
    max_advantage_ratio: float = 1.0,
) -> VTrace:
    """Computes V-trace targets (equation 1, in the recursive form of remark 1).

    Args:
      reward, next_value, ratio, terminated, ended, gamma: as in `retrace`.
      value: `[T, N]`, of the observations acted on.
      max_ratio: rho bar: ratios of temporal differences are cut off there.
      max_trace: c bar: so are those of traces. The paper wants it to be no larger.
      max_advantage_ratio: rho bar of the policy's gradient.
    """
    rho, trace = jnp.minimum(ratio, max_ratio), jnp.minimum(ratio, max_trace)

    # From the last step back. `carry` is v - V of the next step: target less value.
    def body(carry: jax.Array, step: tuple[jax.Array, ...]) -> tuple[jax.Array, VTrace]:
        reward, value, next_value, ratio, rho, trace, terminated, ended = step
        carry = jnp.where(ended, 0.0, carry)
        next_target = next_value + carry  # v of the observation that the step led to
        q = reward + gamma * jnp.where(terminated, 0.0, next_target)
        td_error = reward + gamma * jnp.where(terminated, 0.0, next_value) - value
        surplus = rho * td_error + gamma * trace * carry
        advantage = jnp.minimum(ratio, max_advantage_ratio) * (q - value)
        return surplus, VTrace(value + surplus, advantage)

    steps = (reward, value, next_value, ratio, rho, trace, terminated, ended)
    return jax.lax.scan(body, jnp.zeros_like(value[-1]), steps, reverse=True)[1]
