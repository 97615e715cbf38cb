"""Agents with a memory: what they are fed with beside the observation, and rollouts of them.

`RecurrentEnvironment` makes of an environment one whose observation holds everything that the agent
acts on, its own memory among it, and whose action holds the memory as it is after the step. So
whatever acts for agents without memory acts for these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.nn.recurrent import Carry
from research.rl.acting.actor import Actors, act
from research.rl.envs.environments import Array, Step


class RecurrentObservation(NamedTuple):
    """What an agent of N environments acts on; in rollouts all leaves are `[T, N, ...]`.

    Attributes:
      observation: `[N, ...]` as the environment gave it.
      last_action: `[N]` int32; -1 where an episode begins.
      last_reward: `[N]`, clipped where it is to be; 0 where an episode begins.
      first: `[N]` bool, an episode begins: the memory is to be forgotten.
      carry: the memory before this step.
    """

    observation: Array
    last_action: Array
    last_reward: Array
    first: Array
    carry: Carry


@dataclasses.dataclass(frozen=True)
class RecurrentEnvironment:
    """An environment for agents with an LSTM: it observes `RecurrentObservation`s, and its actions
    are pairs of the inner environment's action and the carry after the step.

    Attributes:
      env: the inner environment, with discrete actions.
      units: of the LSTM.
      reward_clip: rewards are fed clipped to this size; 0: as they are. Those that `step` returns
        are not clipped.
    """

    env: Any
    units: int
    reward_clip: float = 0.0

    @property
    def num_envs(self) -> int:
        return self.env.num_envs

    @property
    def on_host(self) -> bool:
        return self.env.on_host

    @property
    def num_actions(self) -> int:
        return self.env.num_actions

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def frames_per_step(self) -> int:
        return self.env.frames_per_step

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return self.env.observation_space  # of the inner observation

    def reset(self, key: jax.Array) -> tuple[RecurrentObservation, Any]:
        xp: Any = np if self.on_host else jnp
        observation, env_state = self.env.reset(key)
        n = self.num_envs
        carry = xp.zeros((n, self.units), np.float32), xp.zeros((n, self.units), np.float32)
        return RecurrentObservation(
            observation,
            xp.full((n,), -1, np.int32),
            xp.zeros((n,), np.float32),
            xp.ones((n,), bool),
            carry,
        ), env_state

    def receive(self, env_state: Any, batch: Any) -> Any:
        return self.env.receive(env_state, batch)

    def step(self, key: jax.Array, env_state: Any, action: tuple[Array, Carry]) -> Step:
        xp: Any = np if self.on_host else jnp
        observation, env_state, reward, terminated, truncated, info = self.env.step(
            key, env_state, action[0]
        )
        first = terminated | truncated
        fed = reward.clip(-self.reward_clip, self.reward_clip) if self.reward_clip else reward
        recurrent = RecurrentObservation(
            observation,
            xp.where(first, -1, action[0]).astype(np.int32),
            xp.where(first, 0.0, fed).astype(np.float32),
            first,
            action[1],
        )
        return recurrent, env_state, reward, terminated, truncated, info


class RecurrentTrajectory(NamedTuple):
    """T steps of every environment: leaves `[T, N, ...]`.

    Attributes:
      inputs: acted on.
      action: what was done.
      reward: to learn from.
      terminated: bool, nothing of value follows.
      truncated: bool, the episode was cut. What the step led to is not among these steps: it is
        left out of whatever needs that, and returns of earlier steps end at what it acted on.
      change: of the observation by the step, as `collect_recurrent` was told to measure it.
    """

    inputs: RecurrentObservation
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    change: Any


def collect_recurrent(
    env: RecurrentEnvironment,
    actors: Actors,
    policy: Callable[[RecurrentObservation, jax.Array], tuple[jax.Array, Carry]],
    measure_change: Callable[[jax.Array, jax.Array], Any],
    key: jax.Array,
    num_steps: int,
    *,
    life_loss_ends: bool = False,
    batch: Any = None,
) -> tuple[Actors, RecurrentTrajectory, jax.Array]:
    """Collects the next T steps.

    Args:
      env: the environments; rewards to learn from are clipped as those that it feeds.
      actors: where they stand; `observation` is a `RecurrentObservation`.
      policy: `(inputs, key)` to actions `[N]` and the carry after the step.
      measure_change: `(observation, what it led to before any reset)` to what is noted of both.
      key: of these steps.
      num_steps: T.
      life_loss_ends: nothing of value follows a lost life, though the episode goes on.
      batch: from the environment's `source`.

    Returns:
      The actors after it; the steps; and `[T, N]`, returns of the episodes that ended, in the
      game's own rewards (NaN elsewhere).
    """

    def choose(inputs: RecurrentObservation, key: jax.Array) -> tuple[Any, None]:
        return policy(inputs, key), None

    def body(actors: Actors, key: jax.Array) -> tuple[Actors, Any]:
        actors, step = act(
            env, actors, choose, key, reward_clip=env.reward_clip, life_loss_ends=life_loss_ends
        )
        steps = RecurrentTrajectory(
            inputs=step.observation,
            action=step.action[0],
            reward=step.reward,
            terminated=step.terminated,
            truncated=step.truncated,
            change=measure_change(step.observation.observation, step.next_observation),
        )
        return actors, (steps, step.episode_return)

    keys = jax.random.split(key, num_steps)
    actors, (steps, returns) = jax.lax.scan(body, actors.receive(env, batch), keys)
    return actors, steps, returns


def append_next(steps: RecurrentTrajectory, last: RecurrentObservation) -> RecurrentObservation:
    """What was acted on in T steps and what is acted on next: leaves `[T + 1, N, ...]`."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), steps.inputs, last)
