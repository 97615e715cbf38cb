"""Rollouts: T steps of N environments with the current policy, and minibatches of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import flax.struct
import jax
import jax.numpy as jnp

from research.rl.acting.distributions import Distribution
from research.rl.acting.normalization import Moments, RewardScale
from research.rl.envs.environments import Environment
from research.rl.returns import lambda_returns

T = TypeVar("T")
# Observations [B, ...] -> the policy's distributions and values [B].
Policy = Callable[[jax.Array], tuple[Distribution, jax.Array]]


class Actors(flax.struct.PyTreeNode):
    """What goes on from one rollout to the next.

    Attributes:
      env: state of the N environments.
      observation: `[N, ...]` as the environment gave it.
      episode_return: `[N]` of the unfinished episodes, in the game's own rewards.
      moments: of observations, where these are normalised.
      reward_scale: where rewards are.
    """

    env: Any
    observation: jax.Array
    episode_return: jax.Array
    moments: Moments | None
    reward_scale: RewardScale | None


class Rollout(NamedTuple):
    """Leaves `[T, N, ...]`.

    Attributes:
      observation: acted on, as the network takes it.
      action: what was done.
      policy: the distributions that it was drawn from.
      log_prob: its log probability there.
      value: of the observation.
      returns: lambda-returns.
      advantage: returns less values: generalised advantage estimates.
    """

    observation: jax.Array
    action: jax.Array
    policy: Distribution
    log_prob: jax.Array
    value: jax.Array
    returns: jax.Array
    advantage: jax.Array


class Played(NamedTuple):
    """What was played: leaves `[T, N, ...]`.

    Attributes:
      observation: acted on, as the network takes it.
      action: what was done.
      policy: the distributions that it was drawn from.
      value: of the observation.
      reward: to learn from, clipped where it is to be.
      terminated: nothing of value follows.
      ended: the episode was over, terminated or truncated.
      next_value: of the observation that a step led to, before any reset.
      returned: of the episodes that ended, in the game's own rewards; NaN elsewhere.
    """

    observation: jax.Array
    action: jax.Array
    policy: Distribution
    value: jax.Array
    reward: jax.Array
    terminated: jax.Array
    ended: jax.Array
    next_value: jax.Array
    returned: jax.Array


@dataclasses.dataclass(frozen=True)
class Collector:
    """Plays rollouts.

    Attributes:
      env: the environments, inside `jit`.
      num_steps: T.
      gamma: discount of one step.
      lambda_: of the lambda-returns.
      reward_clip: rewards are clipped to this size for learning; 0: they are not.
      life_loss_ends: nothing of value follows a lost life, though the episode goes on.
      normalize_observations: to unit scale, by their moments before the rollout (in the first, as
        they are): the policy that is learned from is then the very one that acted.
      normalize_rewards: to unit scale, by their moments with the rollout.
      window: returns count rewards and end in a value within so many steps' windows; it divides T.
        0: the whole rollout is one.
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

    def init(self, key: jax.Array) -> Actors:
        observation, env_state = self.env.reset(key)
        n = self.env.num_envs
        moments = Moments.init(observation.shape[1:]) if self.normalize_observations else None
        scale = RewardScale.init(n) if self.normalize_rewards else None
        return Actors(env_state, observation, jnp.zeros(n), moments, scale)

    def play(
        self, actors: Actors, policy: Policy, key: jax.Array
    ) -> tuple[Actors, Rollout, dict[str, jax.Array]]:
        """One rollout, and the mean return of the episodes that ended in it (NaN for none)."""
        return self.estimate(*self.act(actors, policy, key))

    def act(self, actors: Actors, policy: Policy, key: jax.Array) -> tuple[Actors, Played]:
        """The first half of `play`; what comes between the halves may replace the rewards."""
        moments = actors.moments

        def body(actors: Actors, key: jax.Array) -> tuple[Actors, Played]:
            act_key, env_key = jax.random.split(key)
            seen = actors.observation
            distribution, value = policy(normalized(moments, seen))
            action = distribution.sample(act_key)
            observation, env_state, reward, terminated, truncated, info = self.env.step(
                env_key, actors.env, action
            )
            ended, returns = terminated | truncated, actors.episode_return + reward
            next_value = jax.lax.cond(
                truncated.any(),  # seldom: it costs another pass through the network
                lambda: policy(normalized(moments, info["final_observation"]))[1],
                lambda: jnp.zeros_like(value),
            )
            returned = jnp.where(ended, returns, jnp.nan)
            going = actors.replace(
                env=env_state,
                observation=observation,
                episode_return=jnp.where(ended, 0.0, returns),
            )
            if self.life_loss_ends:
                terminated |= info["life_lost"]
                ended |= info["life_lost"]
            if self.reward_clip:
                reward = jnp.clip(reward, -self.reward_clip, self.reward_clip)
            return going, Played(
                seen, action, distribution, value, reward, terminated, ended, next_value, returned
            )

        keys = jax.random.split(key, self.num_steps)
        actors, played = jax.lax.scan(body, actors, keys)
        value = policy(normalized(moments, actors.observation))[1]
        following = jnp.concatenate([played.value[1:], value[None]])
        next_value = jnp.where(played.ended, played.next_value, following)
        if moments is not None:
            actors = actors.replace(moments=moments.update(played.observation))
        return actors, played._replace(
            observation=normalized(moments, played.observation), next_value=next_value
        )

    def estimate(
        self, actors: Actors, played: Played
    ) -> tuple[Actors, Rollout, dict[str, jax.Array]]:
        """The second half of `play`: returns and advantages."""
        reward = played.reward
        if actors.reward_scale is not None:
            scale, reward = actors.reward_scale.update(reward, played.ended, self.gamma)
            actors = actors.replace(reward_scale=scale)
        window = self.window or self.num_steps

        def windows(x: jax.Array) -> jax.Array:
            return x.reshape(-1, window, *x.shape[1:]).swapaxes(0, 1)

        returns = (
            lambda_returns(
                windows(reward),
                windows(played.next_value),
                windows(played.terminated),
                windows(played.ended),
                self.gamma,
                self.lambda_,
            )
            .swapaxes(0, 1)
            .reshape(reward.shape)
        )
        return (
            actors,
            Rollout(
                observation=played.observation,
                action=played.action,
                policy=played.policy,
                log_prob=played.policy.log_prob(played.action),
                value=played.value,
                returns=returns,
                advantage=returns - played.value,
            ),
            {"train/return": jnp.nanmean(played.returned)},
        )


def without_ends(played: Played, last_value: jax.Array) -> Played:
    """As if one episode had gone on through all that was played.

    Args:
      last_value: `[N]`, of the observation after the last step.
    """
    never = jnp.zeros_like(played.ended)
    following = jnp.concatenate([played.value[1:], last_value[None]])
    return played._replace(terminated=never, ended=never, next_value=following)


def normalized(moments: Moments | None, observation: jax.Array) -> jax.Array:
    """Observations as a network takes them."""
    return observation if moments is None else moments.normalize(observation)


def flattened(rollout: T) -> T:
    """Steps of all environments in one axis: leaves `[T, N, ...]` to `[T * N, ...]`."""
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
    """Updates over `epochs` passes through a batch, each in a new random order.

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
