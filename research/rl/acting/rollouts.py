"""Rollouts: T steps of N environments with the current policy, and minibatches of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from research.core.experiment import Source
from research.rl.acting.actor import Actors, act
from research.rl.acting.distributions import Distribution
from research.rl.acting.normalization import Moments
from research.rl.envs import games
from research.rl.envs.environments import Environment
from research.rl.returns import lambda_returns

T = TypeVar("T")
# Observations [B, ...] -> the policy's distributions and values [B].
Policy = Callable[[jax.Array], tuple[Distribution, jax.Array]]


class Rollout(NamedTuple):
    """What an on-policy update learns from: leaves `[T, N, ...]`.

    Attributes:
      observation: acted on, as the network takes it.
      action: what was done.
      policy: the distributions that it was drawn from.
      log_prob: its log probability there.
      value: of the observation.
      returns: lambda-returns.
      advantage: returns less values: generalized advantage estimates.
    """

    observation: jax.Array
    action: jax.Array
    policy: Distribution
    log_prob: jax.Array
    value: jax.Array
    returns: jax.Array
    advantage: jax.Array


class Trajectory(NamedTuple):
    """T steps of every environment, before any returns are computed: leaves `[T, N, ...]`.

    Attributes:
      observation: acted on, as the network takes it.
      action: what was done.
      policy: the distributions that it was drawn from.
      value: of the observation.
      reward: to learn from, clipped where it is to be.
      terminated: bool, nothing of value follows.
      done: bool, the episode is over for learning, terminated or truncated.
      next_value: of the observation that a step led to, before any reset.
      episode_return: of the game's episodes that ended, in its own rewards; NaN elsewhere.
    """

    observation: jax.Array
    action: jax.Array
    policy: Distribution
    value: jax.Array
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    next_value: jax.Array
    episode_return: jax.Array


@dataclasses.dataclass(frozen=True)
class Collector:
    """Collects rollouts.

    Attributes:
      env: the environments, inside `jit`.
      num_steps: T.
      gamma: discount of one step.
      lambda_: of the lambda-returns.
      reward_clip: rewards are clipped to this size for learning; 0: they are not.
      life_loss_ends: nothing of value follows a lost life, though the game goes on.
      normalize_observations: to unit scale, by their moments before the rollout (in the first, as
        they are): the policy that is learned from is then the very one that acted.
      normalize_rewards: to unit scale, by their moments with the rollout.
      window: returns count rewards and end in a value within windows of so many steps; it divides
        T. 0: the whole rollout is one.
    """

    env: Environment
    num_steps: int
    gamma: float
    lambda_: float
    reward_clip: float = 0.0
    life_loss_ends: bool = False
    normalize_observations: bool = False
    normalize_rewards: bool = False
    window: int = 0

    @property
    def source(self) -> Source | None:
        """What the environments need from the host, for a state whose `actors` they are."""
        return games.source(self.env)

    @property
    def frames(self) -> int:
        """Frames of the game in one rollout."""
        return self.env.num_envs * self.num_steps * self.env.frames_per_step

    def init(self, key: jax.Array) -> Actors:
        return Actors.start(
            self.env,
            key,
            normalize_observations=self.normalize_observations,
            normalize_rewards=self.normalize_rewards,
        )

    def collect(
        self, actors: Actors, policy: Policy, key: jax.Array, batch: Any = None
    ) -> tuple[Actors, Rollout, dict[str, jax.Array]]:
        """Collects one rollout.

        Args:
          actors: where the environments stand.
          policy: of observations `[B, ...]` as the network takes them.
          key: of this rollout.
          batch: from `source`.

        Returns:
          The actors after it; the rollout; and `train/return`, the mean return of the episodes that
          ended in it (NaN for none).
        """
        return self.estimate(*self.run(actors, policy, key, batch))

    def run(
        self, actors: Actors, policy: Policy, key: jax.Array, batch: Any = None
    ) -> tuple[Actors, Trajectory]:
        """The first half of `collect`; what comes between the halves may replace the rewards."""
        moments = actors.moments

        def sample(observation: jax.Array, key: jax.Array) -> tuple[jax.Array, Any]:
            distribution, value = policy(normalize(moments, observation))
            return distribution.sample(key), (distribution, value)

        def body(actors: Actors, key: jax.Array) -> tuple[Actors, Trajectory]:
            actors, step = act(
                self.env,
                actors,
                sample,
                key,
                reward_clip=self.reward_clip,
                life_loss_ends=self.life_loss_ends,
            )
            distribution, value = step.policy
            next_value = jax.lax.cond(
                step.truncated.any(),  # seldom: it costs another pass through the network
                lambda: policy(normalize(moments, step.next_observation))[1],
                lambda: jnp.zeros_like(value),
            )
            return actors, Trajectory(
                observation=step.observation,
                action=step.action,
                policy=distribution,
                value=value,
                reward=step.reward,
                terminated=step.terminated,
                done=step.done,
                next_value=next_value,
                episode_return=step.episode_return,
            )

        keys = jax.random.split(key, self.num_steps)
        actors, trajectory = jax.lax.scan(body, actors.receive(self.env, batch), keys)
        # Where an episode goes on, the next step's value serves; the last step has none after it.
        last_value = policy(normalize(moments, actors.observation))[1]
        value_after = jnp.concatenate([trajectory.value[1:], last_value[None]])
        next_value = jnp.where(trajectory.done, trajectory.next_value, value_after)
        if moments is not None:
            actors = actors.replace(moments=moments.update(trajectory.observation))
        return actors, trajectory._replace(
            observation=normalize(moments, trajectory.observation), next_value=next_value
        )

    def estimate(
        self, actors: Actors, trajectory: Trajectory
    ) -> tuple[Actors, Rollout, dict[str, jax.Array]]:
        """The second half of `collect`: scaled rewards, returns and advantages."""
        reward = trajectory.reward
        if actors.reward_scale is not None:
            scale, reward = actors.reward_scale.update(reward, trajectory.done, self.gamma)
            actors = actors.replace(reward_scale=scale)
        window = self.window or self.num_steps

        def windows(x: jax.Array) -> jax.Array:
            return x.reshape(-1, window, *x.shape[1:]).swapaxes(0, 1)

        returns = lambda_returns(
            windows(reward),
            windows(trajectory.next_value),
            windows(trajectory.terminated),
            windows(trajectory.done),
            self.gamma,
            self.lambda_,
        )
        returns = returns.swapaxes(0, 1).reshape(reward.shape)
        rollout = Rollout(
            observation=trajectory.observation,
            action=trajectory.action,
            policy=trajectory.policy,
            log_prob=trajectory.policy.log_prob(trajectory.action),
            value=trajectory.value,
            returns=returns,
            advantage=returns - trajectory.value,
        )
        return actors, rollout, {"train/return": jnp.nanmean(trajectory.episode_return)}


def without_ends(trajectory: Trajectory, last_value: jax.Array) -> Trajectory:
    """Makes of a trajectory one in which a single episode goes on and on.

    Args:
      trajectory: of T steps.
      last_value: `[N]`, of the observation after the last step.
    """
    never = jnp.zeros_like(trajectory.done)
    next_value = jnp.concatenate([trajectory.value[1:], last_value[None]])
    return trajectory._replace(terminated=never, done=never, next_value=next_value)


def normalize(moments: Moments | None, observation: jax.Array) -> jax.Array:
    """Observations as a network takes them."""
    return observation if moments is None else moments.normalize(observation)


def normalize_advantage(advantage: jax.Array) -> jax.Array:
    """Advantages `[B]` with mean 0 and standard deviation 1, as in Baselines."""
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)


def flatten(rollout: T) -> T:
    """Puts the steps of all environments into one axis: leaves `[T, N, ...]` to `[T * N, ...]`."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rollout)


def sweep(
    carry: T,
    batch: Any,
    key: jax.Array,
    update: Callable[[T, Any, jax.Array], tuple[T, dict[str, jax.Array]]],
    *,
    epochs: int,
    minibatches: int,
) -> tuple[T, dict[str, jax.Array]]:
    """Makes updates over `epochs` passes through a batch, each in a new random order.

    Args:
      carry: what is updated.
      batch: leaves `[B, ...]`; `minibatches` must divide B.
      update: `(carry, minibatch, key) -> (carry, metrics)`.

    Returns:
      The last carry, and the metrics' means over all updates.
    """

    def epoch(carry: T, key: jax.Array) -> tuple[T, Any]:
        order_key, key = jax.random.split(key)
        size = len(jax.tree.leaves(batch)[0])
        order = jax.random.permutation(order_key, size).reshape(minibatches, -1)

        def body(carry: T, xs: tuple[jax.Array, jax.Array]) -> tuple[T, Any]:
            rows, key = xs
            return update(carry, jax.tree.map(lambda x: x[rows], batch), key)

        return jax.lax.scan(body, carry, (order, jax.random.split(key, minibatches)))

    carry, metrics = jax.lax.scan(epoch, carry, jax.random.split(key, epochs))
    return carry, jax.tree.map(jnp.mean, metrics)
