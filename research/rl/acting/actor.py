"""One step of N environments by a policy: rollouts, segments and replay are loops over it.

What learning sees is not quite the game: rewards may be clipped, and a lost life may count as the
end. An episode for learning is then over where the game goes on. `Experience.done` says the former
and `Experience.reset` the latter: returns, advantages and the scale of rewards (Baselines'
`VecNormalize`, which sees the `done` of its `EpisodicLifeEnv`) stop at `done`; stacks of frames, a
recurrent state and reported returns begin anew at `reset`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from research.rl.acting.normalization import Moments, RewardScale
from research.rl.envs.environments import Environment

# (observation [N, ...], key) -> (action [N, ...], anything of leaves [N, ...] to be noted with it)
ActingPolicy = Callable[[Any, jax.Array], tuple[Any, Any]]


class Actors(flax.struct.PyTreeNode):
    """N environments in the middle of their episodes.

    Attributes:
      env: state of the environments.
      observation: `[N, ...]`, acted on next, as the environment gave it.
      episode_return: `[N]` of the unfinished episodes, in the game's own rewards.
      moments: of observations, where these are normalized; else None.
      reward_scale: where rewards are scaled; else None.
    """

    env: Any
    observation: Any
    episode_return: jax.Array
    moments: Moments | None = None
    reward_scale: RewardScale | None = None

    @classmethod
    def start(
        cls,
        env: Environment,
        key: jax.Array,
        *,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
    ) -> Actors:
        """Begins an episode in every environment."""
        observation, env_state = env.reset(key)
        return cls(
            env=env_state,
            observation=observation,
            episode_return=jnp.zeros(env.num_envs),
            moments=Moments.init(observation.shape[1:]) if normalize_observations else None,
            reward_scale=RewardScale.init(env.num_envs) if normalize_rewards else None,
        )

    def receive(self, env: Environment, batch: Any) -> Actors:
        """Takes in what the environment's `source` brought for this step; None for nothing."""
        return self if batch is None else self.replace(env=env.receive(self.env, batch))


class Experience(NamedTuple):
    """One step of every environment: leaves `[N, ...]`, or `[T, N, ...]` of T steps.

    Attributes:
      observation: acted on, as the environment gave it.
      action: what was done.
      policy: what the policy noted beside the action.
      reward: to learn from, clipped where it is to be.
      terminated: bool, nothing of value follows: the task ended, or a life that counts was lost.
      truncated: bool, the episode was cut; the value of `next_observation` still counts.
      next_observation: what the step led to, before any reset.
      reset: bool, the game's episode is over: the next observation is another one's first.
      episode_return: of the game's episodes that are over, in its own rewards; NaN elsewhere.
    """

    observation: Any
    action: Any
    policy: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: Any
    reset: jax.Array
    episode_return: jax.Array

    @property
    def done(self) -> jax.Array:
        """The episode is over for learning; true wherever `reset` is."""
        return self.terminated | self.truncated


def act(
    env: Environment,
    actors: Actors,
    policy: ActingPolicy,
    key: jax.Array,
    *,
    reward_clip: float = 0.0,
    life_loss_ends: bool = False,
    batch: Any = None,
) -> tuple[Actors, Experience]:
    """Acts once in every environment.

    Args:
      env: the environments.
      actors: where they stand.
      policy: `(observation, key) -> (action, noted)`.
      key: of this step.
      reward_clip: rewards are clipped to this size for learning; 0: they are not.
      life_loss_ends: nothing of value follows a lost life, though the game goes on.
      batch: from the environment's `source`. A loop of several steps receives it once, before.
    """
    act_key, env_key = jax.random.split(key)
    action, noted = policy(actors.observation, act_key)
    return apply_action(
        env,
        actors,
        action,
        env_key,
        noted=noted,
        reward_clip=reward_clip,
        life_loss_ends=life_loss_ends,
        batch=batch,
    )


def apply_action(
    env: Environment,
    actors: Actors,
    action: Any,
    key: jax.Array,
    *,
    noted: Any = None,
    reward_clip: float = 0.0,
    life_loss_ends: bool = False,
    batch: Any = None,
) -> tuple[Actors, Experience]:
    """`act` with actions `[N, ...]` that are known, such as those of an actor on the host."""
    actors = actors.receive(env, batch)
    observation, env_state, reward, terminated, truncated, info = env.step(key, actors.env, action)
    reset = terminated | truncated
    episode_return = actors.episode_return + reward
    if life_loss_ends:
        # For learning alone: the game, its frames and its return go on over all lives.
        terminated = terminated | info["life_lost"]
    experience = Experience(
        observation=actors.observation,
        action=action,
        policy=noted,
        reward=jnp.clip(reward, -reward_clip, reward_clip) if reward_clip else reward,
        terminated=terminated,
        truncated=truncated,
        next_observation=info["final_observation"],
        reset=reset,
        episode_return=jnp.where(reset, episode_return, jnp.nan),
    )
    actors = actors.replace(
        env=env_state,
        observation=observation,
        episode_return=jnp.where(reset, 0.0, episode_return),
    )
    return actors, experience
