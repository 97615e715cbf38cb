"""What on-policy agents (A2C, TRPO, PPO) have in common around their update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research.core.experiment import Rules
from research.core.learner import Learner
from research.rl.acting.distributions import Distribution, distribution, indifferent
from research.rl.acting.episodes import Evaluation
from research.rl.acting.rollouts import Collector, normalized
from research.rl.envs import games
from research.rl.envs.environments import StackFrames

# Environments are split over devices (`Experiment.splits`).
SPLITS: Rules = (
    ("^actors/(env|observation|episode_return|reward_scale/total)", PartitionSpec("data")),
)


def env_config(name: str, num_envs: int, *, normalize_rewards: bool = False) -> ConfigDict:
    """`config.env` of these agents, for `games.training_environment` and `make_collector`."""
    return ConfigDict(
        {
            "name": name,
            "num_envs": num_envs,
            "stack": 1,  # frames in an observation
            "action_repeat": 1,
            "max_noops": 0,
            "fire_reset": False,
            "sticky_actions": 0.0,
            "full_action_space": False,
            "max_episode_frames": 108_000,  # of Atari games; the others have limits of their own
            "life_loss_ends": False,  # for learning alone
            "reward_clip": 0.0,  # 0: none
            "normalize_observations": False,
            "normalize_rewards": normalize_rewards,
        }
    )


def eval_config() -> ConfigDict:
    """`config.eval` of these agents, for `evaluation`."""
    return ConfigDict(
        {
            "episodes": 128,
            "greedy": False,
            "max_episode_frames": 108_000,
            "max_noops": 0,
        }
    )


def make_collector(config: ConfigDict, env: StackFrames) -> Collector:
    """Rollouts of `config.agent.rollout_steps`, as `config.env` treats observations and rewards."""
    agent = config.agent
    return Collector(
        env,
        agent.rollout_steps,
        agent.gamma,
        agent.gae_lambda,
        reward_clip=config.env.reward_clip,
        life_loss_ends=config.env.life_loss_ends,
        normalize_observations=config.env.normalize_observations,
        normalize_rewards=config.env.normalize_rewards,
    )


def policy_and_value(
    learner: Learner,
) -> Callable[[Any, jax.Array], tuple[Distribution, jax.Array]]:
    """`(learner's state or variables, observations [B, ...]) -> (distributions, values [B])` of an
    `ActorCritic`."""

    def policy(variables: Any, observation: jax.Array) -> tuple[Distribution, jax.Array]:
        output, value = learner.apply(variables, observation)[0]
        return distribution(output), value

    return policy


def evaluation(
    config: ConfigDict,
    policy: Callable[[Any, jax.Array], Distribution],
    variables: Callable[[Any], Any],
) -> Callable[[Any, jax.Array], dict[str, float]]:
    """Whole episodes by `config.eval`, whatever the lives, with rewards as the game gives them.

    Args:
      policy: `(variables, observation) -> distribution`; its mode is played if `eval.greedy`.
      variables: finds the policy's in the experiment's state, whose `actors` it also has.
    """

    def act(of_state: Any, observation: jax.Array, key: jax.Array) -> jax.Array:
        found, moments = of_state
        distribution = policy(found, normalized(moments, observation))
        return distribution.mode() if config.eval.greedy else distribution.sample(key)

    play = Evaluation(games.evaluation_games(config.env, config.eval), act)
    return lambda state, key: play((variables(state), state.actors.moments), key)


def random_return(config: ConfigDict) -> float:
    """Mean return of whole episodes by `config.eval` in which nobody acts on what is seen."""
    env = games.evaluation_games(config.env, config.eval)

    def act(_: Any, observation: jax.Array, key: jax.Array) -> jax.Array:
        return indifferent(env.num_actions, env.action_size, len(observation)).sample(key)

    return Evaluation(env, act)(None, jax.random.key(config.seed))["return"]
