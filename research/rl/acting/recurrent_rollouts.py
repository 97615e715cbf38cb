"""Agents with a memory: what they are fed with beside the observation, and rollouts of them.

`Recurrent` turns an environment into one whose observation holds everything that the agent acts on,
its own memory among it, and whose action holds the memory as it is after the step. So whatever
plays episodes of agents without memory plays these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.nn.recurrent import Carry
from research.rl.envs.environments import Array, Step


class Seen(NamedTuple):
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
class Recurrent:
    """An environment for agents with an LSTM; its observations are `Seen`, its actions pairs of the
    inner environment's action and the carry after the step.

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

    def reset(self, key: jax.Array) -> tuple[Seen, Any]:
        xp: Any = np if self.on_host else jnp
        observation, env_state = self.env.reset(key)
        n = self.num_envs
        carry = xp.zeros((n, self.units), np.float32), xp.zeros((n, self.units), np.float32)
        return Seen(
            observation,
            xp.full((n,), -1, np.int32),
            xp.zeros((n,), np.float32),
            xp.ones((n,), bool),
            carry,
        ), env_state

    def step(self, key: jax.Array, env_state: Any, action: tuple[Array, Carry]) -> Step:
        xp: Any = np if self.on_host else jnp
        observation, env_state, reward, terminated, truncated, info = self.env.step(
            key, env_state, action[0]
        )
        first = terminated | truncated
        fed = self.clipped(reward)
        seen = Seen(
            observation,
            xp.where(first, -1, action[0]).astype(np.int32),
            xp.where(first, 0.0, fed).astype(np.float32),
            first,
            action[1],
        )
        return seen, env_state, reward, terminated, truncated, info

    def clipped(self, reward: Array) -> Array:
        return reward.clip(-self.reward_clip, self.reward_clip) if self.reward_clip else reward


class Actors(flax.struct.PyTreeNode):
    """What goes on from one rollout to the next. Attributes: env, state of the N environments;
    seen, what is acted on next; episode_return, `[N]` of the unfinished episodes."""

    env: Any
    seen: Seen
    episode_return: jax.Array


class Steps(NamedTuple):
    """What was played: leaves `[T, N, ...]`.

    Attributes:
      seen: acted on.
      action: what was done.
      reward: to learn from.
      terminated: bool, nothing of value follows.
      truncated: bool, the episode was cut. What the step led to is not among these steps: it is
        left out of whatever needs that, and returns of earlier steps end at what it acted on.
      change: of the observation by the step, as `play` was told to measure it.
    """

    seen: Seen
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    change: Any


def begin(env: Recurrent, key: jax.Array) -> Actors:
    """The start of all episodes."""
    seen, env_state = env.reset(key)
    return Actors(env_state, seen, jnp.zeros(env.num_envs))


def play(
    env: Recurrent,
    actors: Actors,
    act: Callable[[Seen, jax.Array], tuple[jax.Array, Carry]],
    change: Callable[[jax.Array, jax.Array], Any],
    key: jax.Array,
    num_steps: int,
    *,
    life_loss_ends: bool = False,
) -> tuple[Actors, Steps, jax.Array]:
    """The next T steps, and `[T, N]` returns of the episodes that ended, in the game's own rewards
    (NaN elsewhere).

    Args:
      act: `(seen, key)` to actions `[N]` and the carry after the step.
      change: `(observation, what it led to before any reset)` to what is noted of both.
      life_loss_ends: nothing of value follows a lost life, though the episode goes on.
    """

    def body(actors: Actors, key: jax.Array) -> tuple[Actors, tuple[Steps, jax.Array]]:
        act_key, env_key = jax.random.split(key)
        action = act(actors.seen, act_key)
        seen, env_state, reward, terminated, truncated, info = env.step(env_key, actors.env, action)
        ended, total = terminated | truncated, actors.episode_return + reward
        if life_loss_ends:
            terminated |= info["life_lost"]
        changed = change(actors.seen.observation, info["final_observation"])
        steps = Steps(actors.seen, action[0], env.clipped(reward), terminated, truncated, changed)
        after = Actors(env_state, seen, jnp.where(ended, 0.0, total))
        return after, (steps, jnp.where(ended, total, jnp.nan))

    actors, (steps, returned) = jax.lax.scan(body, actors, jax.random.split(key, num_steps))
    return actors, steps, returned


def with_next(steps: Steps, seen: Seen) -> Seen:
    """What was acted on and what is acted on next: leaves `[T + 1, N, ...]`."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), steps.seen, seen)
