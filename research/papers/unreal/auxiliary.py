"""Auxiliary tasks of UNREAL: control of pixels or features, and prediction of the next reward.

Jaderberg et al., 2016, arXiv:1611.05397, sections 3.1 and 3.2.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from research.rl.returns import lambda_returns


def pixel_change(before: jax.Array, after: jax.Array, crop: int, cell: int) -> jax.Array:
    """Measures how much each cell of a picture changed: the pseudo-reward of pixel control.

    Args:
      before, after: `[N, H, W, C]` uint8.
      crop: side of the square in the middle that counts, in pixels.
      cell: side of a cell, in pixels.

    Returns:
      `[N, crop / cell, crop / cell, 1]`, the mean absolute difference; 1 is from black to white.
    """
    n, height, width, channels = before.shape
    top = (height - crop) // 2
    left = (width - crop) // 2
    cells = crop // cell

    def middle(x: jax.Array) -> jax.Array:
        return x[:, top : top + crop, left : left + crop].astype(jnp.float32)

    change = jnp.abs(middle(after) - middle(before)) / 255
    by_cell = change.reshape(n, cells, cell, cells, cell, channels)
    return by_cell.mean(axis=(2, 4, 5))[..., None]


def n_step_returns(
    reward: jax.Array, value: jax.Array, terminated: jax.Array, truncated: jax.Array, gamma: float
) -> jax.Array:
    """Returns that count all rewards to the end of a sequence, where its last value bootstraps.

    The observation that a truncated step led to is not kept. Returns of earlier steps therefore
    end with the value of what the truncated step acted on. Its own return is that very value: a
    step that the caller is to leave out.

    Args:
      reward: `[T, N, ...]`.
      value: `[T + 1, N, ...]`, of what was acted on and of what is acted on next.
      terminated, truncated: `[T, N]` bool.
      gamma: discount of one step.

    Returns:
      `[T, N, ...]`, without a gradient.
    """

    def over_cells(x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape, *[1] * (reward.ndim - 2))

    cut = over_cells(truncated)
    ended = over_cells(terminated) | cut
    # A truncated step "earns" the value that returns of the steps before it are to end with.
    reward = jnp.where(cut, value[:-1], reward)
    return jax.lax.stop_gradient(lambda_returns(reward, value[1:], ended, ended, gamma, 1.0))


def control_loss(
    q: jax.Array,
    action: jax.Array,
    reward: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    gamma: float,
) -> jax.Array:
    """n-step Q-learning of every cell's pseudo-reward, L_Q (section 3.1).

    Args:
      q: `[T + 1, N, ..., A]`, with the cells in the middle.
      action: `[T, N]`.
      reward: `[T, N, ...]`, the cells' pseudo-rewards.
      terminated, truncated: `[T, N]` bool, as in `n_step_returns`.
      gamma: discount of one step.

    Returns:
      Squared errors, summed over cells; their mean over steps that were not truncated.
    """
    td_target = n_step_returns(reward, q.max(axis=-1), terminated, truncated, gamma)
    index = action.reshape(*action.shape, *[1] * (q.ndim - 2))
    q_of_action = jnp.take_along_axis(q[:-1], index, axis=-1)[..., 0]
    cells = tuple(range(2, td_target.ndim))
    squared_error = ((td_target - q_of_action) ** 2).sum(axis=cells)
    return weighted_mean(squared_error, ~truncated)


def reward_class(reward: jax.Array) -> jax.Array:
    """Classes of rewards, int32: 0 for negative, 1 for zero, 2 for positive."""
    return jnp.sign(reward).astype(jnp.int32) + 1


def weighted_mean(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean of `x` by weights of its shape; 0 where all weights are."""
    weight = weight.astype(jnp.float32)
    return (x * weight).sum() / jnp.maximum(weight.sum(), 1.0)
