"""`OnPolicy`: what agents that learn from their newest rollout (A2C, TRPO, PPO) have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
from jax.sharding import PartitionSpec

from research.core.experiment import Experiment, Metrics, Rules
from research.core.learner import Learner, LearnerState
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Distribution, distribution, random_policy
from research.rl.acting.episodes import Evaluation
from research.rl.acting.rollouts import Collector, Rollout, flatten, normalize
from research.rl.envs import games
from research.rl.envs.environments import Environment

# Environments are split over devices (`Experiment.soft_rules`).
ACTOR_RULES: Rules = (
    ("^actors/(env|observation|episode_return|reward_scale/total)", PartitionSpec("data")),
)


class OnPolicyState(flax.struct.PyTreeNode):
    """Attributes: learner, of policy and value; actors, the environments in mid-episode."""

    learner: LearnerState
    actors: Actors


class OnPolicy(Experiment):
    """Collects a rollout with the current policy, learns from it, forgets it.

    A paper's class makes its `learner`, an `ActorCritic`'s, and writes `update`. One that has other
    networks overrides `init`, `policy_and_value`, `policy` and `eval_variables` as well; one that
    puts something between what was played and what is learned from overrides `step`.

    Args:
      collector: of rollouts.
      total_frames: of the game, the length of the run.
      test_env: an environment for each episode of an evaluation; None where `evaluate` is the
        paper's own.
      greedy: the evaluation plays the policy's mode.
    """

    learner: Learner
    soft_rules = ACTOR_RULES

    def __init__(
        self,
        collector: Collector,
        *,
        total_frames: int,
        test_env: Environment | None = None,
        greedy: bool = False,
    ):
        self.collector = collector
        self.env = collector.env
        self.source = collector.source
        self.num_steps = total_frames // collector.frames
        self.per_step = {"frames": collector.frames}
        self.test_env = test_env
        if test_env is not None:
            self.test_play = evaluation(test_env, self.policy, greedy=greedy)

    def init(self, key: jax.Array) -> Any:
        env_key, net_key = jax.random.split(key)
        actors = self.collector.init(env_key)
        return OnPolicyState(self.learner.init(net_key, actors.observation[:1]), actors)

    def policy_and_value(
        self, variables: Any, observation: jax.Array
    ) -> tuple[Distribution, jax.Array]:
        """Distributions and values `[B]` for observations `[B, ...]`.

        Args:
          variables: of the networks: a learner's state, or what `eval_variables` finds.
          observation: as the networks take it.
        """
        return apply_actor_critic(self.learner, variables, observation)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return self.policy_and_value(variables, observation)[0]

    def collect(
        self, state: Any, batch: Any, key: jax.Array
    ) -> tuple[Actors, Rollout, dict[str, jax.Array]]:
        """The actors after a rollout; the rollout `[B, ...]`; and the mean return of the episodes
        that ended in it."""
        actors, rollout, metrics = self.collector.collect(
            state.actors,
            lambda observation: self.policy_and_value(self.acting_variables(state), observation),
            key,
            batch,
        )
        return actors, flatten(rollout), metrics

    def update(
        self, state: Any, rollout: Rollout, t: jax.Array, key: jax.Array
    ) -> tuple[Any, Metrics]:
        """The paper's: the state after learning from a rollout `[B, ...]`, and metrics."""
        raise NotImplementedError

    def step(
        self, state: Any, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array]]:
        play_key, learn_key = jax.random.split(key)
        actors, rollout, episodes = self.collect(state, batch, play_key)
        state, metrics = self.update(state.replace(actors=actors), rollout, t, learn_key)
        return state, {**metrics, **episodes}

    def acting_variables(self, state: Any) -> Any:
        """What `policy_and_value` acts with in training."""
        return state.learner

    def eval_variables(self, state: Any) -> Any:
        """What `policy` is evaluated with."""
        return self.learner.eval_variables(state.learner)

    def test_variables(self, state: Any) -> Any:
        """What `test_play` takes: those, and the moments that observations are normalized by."""
        return self.eval_variables(state), state.actors.moments

    def evaluate(self, state: Any, key: jax.Array) -> Mapping[str, Any]:
        """Whole episodes, whatever the lives, with rewards as the game gives them."""
        numbers = self.test_play(self.test_variables(state), key)
        return {f"eval/{name}": value for name, value in numbers.items()}


def apply_actor_critic(
    learner: Learner, variables: Any, observation: jax.Array
) -> tuple[Distribution, jax.Array]:
    """Distributions and values `[B]` of an `ActorCritic` for observations `[B, ...]`."""
    output, value = learner.apply(variables, observation)[0]
    return distribution(output), value


def make_collector(
    settings: games.Settings, rollout_steps: int, gamma: float, gae_lambda: float
) -> Collector:
    """A collector that treats observations and rewards of a game as its settings say.

    Args:
      settings: of the environments.
      rollout_steps: T, steps of each environment.
      gamma: discount of one step.
      gae_lambda: of generalized advantage estimates; 1 for n-step returns.
    """
    return Collector(
        games.training_environment(settings),
        rollout_steps,
        gamma,
        gae_lambda,
        reward_clip=settings.reward_clip,
        life_loss_ends=settings.life_loss_ends,
        normalize_observations=settings.normalize_observations,
        normalize_rewards=settings.normalize_rewards,
    )


def evaluation(
    env: Environment, policy: Callable[[Any, jax.Array], Distribution], *, greedy: bool
) -> Evaluation:
    """An evaluation of `(variables, moments)`: a policy's variables, and the moments by which
    observations are normalized for it (None where they are not).

    Args:
      env: an environment for each episode.
      policy: `(variables, observation) -> distribution`.
      greedy: plays its mode.
    """

    def act(of_state: Any, observation: jax.Array, key: jax.Array) -> jax.Array:
        variables, moments = of_state
        action = policy(variables, normalize(moments, observation))
        return action.mode() if greedy else action.sample(key)

    return Evaluation(env, act)


def random_return(env: Environment, seed: int) -> float:
    """Mean return of a uniformly random policy, over an episode of every environment."""

    def act(_: Any, observation: jax.Array, key: jax.Array) -> jax.Array:
        return random_policy(env.num_actions, env.action_size, len(observation)).sample(key)

    return Evaluation(env, act)(None, jax.random.key(seed))["return"]
