"""Bit flipping (Andrychowicz et al., 2017, arXiv:1707.01495, section 3.1).

There are n bits, and action i flips bit i; first state and goal are uniform in {0, 1}^n. The reward
is -1 as long as the state is not the goal. An episode has n steps and goes on when the goal is met.
Random exploration meets the goal about once in 2^n states.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from research.rl.envs.environments import Step
from research.rl.envs.goals import TimedState, advance, begin


@dataclasses.dataclass(frozen=True)
class BitFlipping:
    """One copy of the task, a `goals.GoalEnvironment`.

    Its observation `[2 n]` is the bits, then the goal's bits.

    Attributes:
      num_bits: n.
    """

    num_bits: int

    action_size = 0

    @property
    def num_actions(self) -> int:
        return self.num_bits

    @property
    def goal_size(self) -> int:
        return self.num_bits

    @property
    def horizon(self) -> int:
        return self.num_bits

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((2 * self.num_bits,), jnp.float32)

    def achieved_goal(self, observation: jax.Array) -> jax.Array:
        return observation[..., : self.num_bits]

    def reward(self, achieved: jax.Array, goal: jax.Array) -> jax.Array:
        return -jnp.any(achieved != goal, axis=-1).astype(jnp.float32)

    def reset(self, key: jax.Array) -> tuple[jax.Array, TimedState]:
        return begin(jax.random.bernoulli(key, 0.5, (2 * self.num_bits,)).astype(jnp.float32))

    def step(self, key: jax.Array, env_state: TimedState, action: jax.Array) -> Step:
        observation = env_state.observation
        return advance(self, key, env_state, observation.at[action].set(1 - observation[action]))
