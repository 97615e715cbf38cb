"""Retrace: returns of what another policy did, with traces cut where this one would not do it.

Munos et al., 2016, arXiv:1606.02647, with lambda = 1 in the recursive form of ACER (Wang et al.,
2016, arXiv:1611.01224, equation 5).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def retrace(
    reward: jax.Array, q: jax.Array, next_value: jax.Array, ratio: jax.Array,
    terminated: jax.Array, ended: jax.Array, gamma: float, longest_trace: float = 1.0,
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
