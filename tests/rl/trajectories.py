"""Trajectories of noise for tests of updates: episodes end, are cut, and end in the last step."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Categorical, DiagonalNormal
from research.rl.acting.rollouts import Trajectory


def trajectory(
    steps: int, envs: int, size: int, actions: int, *, continuous: bool = False, seed: int = 0
) -> Trajectory:
    """T steps of N environments: observations `[T, N, size]`, rewards of deviation 3.

    The policy that acted is any, so that ratios to another one are far from 1.
    """
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=(steps, envs, *shape)).astype(np.float32)

    policy = (
        DiagonalNormal(jnp.asarray(normal(actions)), jnp.asarray(0.3 * normal(actions)))
        if continuous
        else Categorical(jnp.asarray(normal(actions)))
    )
    action = normal(actions) if continuous else rng.integers(0, actions, (steps, envs))
    terminated = rng.random((steps, envs)) < 0.2
    truncated = (rng.random((steps, envs)) < 0.2) & ~terminated
    assert terminated.any() and truncated.any()
    return Trajectory(
        observation=jnp.asarray(normal(size)),
        action=jnp.asarray(action),
        policy=policy,
        value=jnp.asarray(normal()),
        reward=jnp.asarray(3 * normal()),
        terminated=jnp.asarray(terminated),
        done=jnp.asarray(terminated | truncated),
        next_value=jnp.asarray(2 * normal()),
        episode_return=jnp.full((steps, envs), jnp.nan),
    )


def nobody() -> Actors:
    """Actors of a collector that is given its trajectories."""
    return Actors(None, None, None, None, None)
