"""Tasks beside the reward: control of pixels or features, and telling the next reward (Jaderberg et
al., 2016, arXiv:1611.05397, sections 3.1 and 3.2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from research.rl.returns import lambda_returns


def pixel_change(before: jax.Array, after: jax.Array, crop: int, cell: int) -> jax.Array:
    """How much each cell of the picture changed: mean absolute difference, 1 from black to white.

    Args:
      before, after: `[N, H, W, C]` uint8.
      crop: side of the square in the middle that counts.
      cell: side of a cell, in pixels.

    Returns:
      `[N, crop / cell, crop / cell, 1]`.
    """
    n, height, width, channels = before.shape
    top, left, cells = (height - crop) // 2, (width - crop) // 2, crop // cell

    def middle(x: jax.Array) -> jax.Array:
        return x[:, top : top + crop, left : left + crop].astype(jnp.float32)

    change = jnp.abs(middle(after) - middle(before)) / 255
    return change.reshape(n, cells, cell, cells, cell, channels).mean(axis=(2, 4, 5))[..., None]


def returns_of_steps(
    reward: jax.Array, value: jax.Array, terminated: jax.Array, truncated: jax.Array, gamma: float
) -> jax.Array:
    """n-step returns to the end of a sequence, whose value bootstraps them.

    What a truncated step led to is not known here: returns of the steps before it end with the
    value of what it acted on, and its own, which is to be left out, is that value.

    Args:
      reward: `[T, N, ...]`.
      value: `[T + 1, N, ...]`, of what was acted on and what is acted on next.
      terminated, truncated: `[T, N]` bool.
      gamma: discount of one step.

    Returns:
      `[T, N, ...]`, without a gradient.
    """

    def over_cells(x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape, *[1] * (reward.ndim - 2))

    cut = over_cells(truncated)
    over = over_cells(terminated) | cut
    reward = jnp.where(cut, value[:-1], reward)
    return jax.lax.stop_gradient(lambda_returns(reward, value[1:], over, over, gamma, 1.0))


def control_loss(
    q: jax.Array,
    action: jax.Array,
    reward: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    gamma: float,
) -> jax.Array:
    """n-step Q-learning of every cell's pseudo-reward: squared errors, summed over cells, mean over
    steps.

    Args:
      q: `[T + 1, N, ..., A]`, cells in the middle.
      action: `[T, N]`.
      reward: `[T, N, ...]`.
      terminated, truncated: `[T, N]` bool; see `returns_of_steps`.
      gamma: discount of one step.
    """
    target = returns_of_steps(reward, q.max(axis=-1), terminated, truncated, gamma)
    chosen = action.reshape(*action.shape, *[1] * (q.ndim - 2))
    taken = jnp.take_along_axis(q[:-1], chosen, axis=-1)[..., 0]
    error = ((target - taken) ** 2).sum(axis=tuple(range(2, target.ndim)))
    return weighted_mean(error, ~truncated)


def reward_class(reward: jax.Array) -> jax.Array:
    """0 for negative, 1 for none, 2 for positive."""
    return jnp.sign(reward).astype(jnp.int32) + 1


def weighted_mean(x: jax.Array, weight: jax.Array) -> jax.Array:
    """0 if all weights are."""
    weight = weight.astype(jnp.float32)
    return (x * weight).sum() / jnp.maximum(weight.sum(), 1.0)
