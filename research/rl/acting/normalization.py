"""Observations and rewards brought to unit scale by running statistics (OpenAI Baselines'
`VecNormalize`; Schulman et al. 2017 do not mention it)."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

_EPSILON = 1e-8
_CLIP = 10.0  # standard deviations


@flax.struct.dataclass
class Moments:
    """Mean and variance of all observations so far.

    Attributes:
      count: how many there were.
      mean, variance: `[...]`, of each of their components.
    """

    count: jax.Array
    mean: jax.Array
    variance: jax.Array

    @classmethod
    def init(cls, shape: tuple[int, ...] = ()) -> Moments:
        """Mean 0 and variance 1; a count just above 0 keeps the first update defined."""
        return cls(jnp.full((), 1e-4), jnp.zeros(shape), jnp.ones(shape))

    def update(self, x: jax.Array) -> Moments:
        """Takes in `x` `[..., *shape]`, every entry of the leading axes once (Chan et al. 1979)."""
        axes = tuple(range(x.ndim - self.mean.ndim))
        n = x.size / max(self.mean.size, 1)
        total = self.count + n
        delta = x.mean(axis=axes) - self.mean
        between = delta**2 * self.count * n / total
        variance = (self.variance * self.count + x.var(axis=axes) * n + between) / total
        return Moments(total, self.mean + delta * n / total, variance)

    def normalize(self, x: jax.Array) -> jax.Array:
        """`x` in standard deviations from the mean, clipped to 10."""
        return jnp.clip((x - self.mean) * jax.lax.rsqrt(self.variance + _EPSILON), -_CLIP, _CLIP)


@flax.struct.dataclass
class RewardScale:
    """Divides rewards by the standard deviation of the discounted sum of past rewards.

    Attributes:
      total: `[N]`, that sum in each environment's unfinished episode.
      moments: of that sum.
    """

    total: jax.Array
    moments: Moments

    @classmethod
    def init(cls, num_envs: int) -> RewardScale:
        return cls(jnp.zeros(num_envs), Moments.init())

    def update(
        self, reward: jax.Array, done: jax.Array, gamma: float
    ) -> tuple[RewardScale, jax.Array]:
        """Takes in rewards `[T, N]`; returns them scaled, clipped to 10.

        Args:
          reward: `[T, N]`.
          done: `[T, N]` bool, the episode that is learned from was over with that step.
          gamma: discount of one step.
        """

        def body(total: jax.Array, step: Any) -> tuple[jax.Array, jax.Array]:
            reward, done = step
            total = gamma * total + reward
            return jnp.where(done, 0.0, total), total

        last, totals = jax.lax.scan(body, self.total, (reward, done))
        moments = self.moments.update(totals)
        scaled = reward * jax.lax.rsqrt(moments.variance + _EPSILON)
        return RewardScale(last, moments), jnp.clip(scaled, -_CLIP, _CLIP)
