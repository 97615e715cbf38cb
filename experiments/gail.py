"""Generative Adversarial Imitation Learning (Ho and Ermon, 2016), arXiv:1606.03476.

Claim: a policy that an adversary cannot tell from an expert acts like it after the sight of few of
its episodes; a policy cloned from them needs more.

Phases: TRPO on the true reward makes the expert, whose episodes are thinned out to every 20th pair
from a random offset; then a network like the expert's is trained from these alone, by GAIL or by
cloning. The reward of the paper's cost, -log D, is positive and keeps episodes going; where the
task is to end them `gail.reward` is log(1 - D), as in the authors' code. Departures: the value
function is fitted as in OpenAI Baselines' TRPO; the discriminator may take several gradient steps
an iteration, on inputs as they are, without the authors' entropy regulariser; inputs of policy and
value are not normalised by the expert's. The paper's other tasks need MuJoCo.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any

import flax.struct
import jax
import optax
from ml_collections import ConfigDict

from research import app, training
from research.config import with_overrides
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.models.actor_critic import Actor, Critic
from research.papers.gail.behavioral_cloning import BehavioralCloning
from research.papers.gail.pair_discriminator import PairDiscriminator
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl import demonstrations
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Distribution
from research.rl.acting.rollouts import Trajectory, flatten
from research.rl.agents.on_policy import OnPolicy, make_collector, random_return
from research.rl.agents.trpo import TRPO, check_rollout
from research.rl.demonstrations import Demonstrations
from research.rl.envs import games
from research.rl.envs.environments import Environment

PAPER = Paper(
    title="Generative Adversarial Imitation Learning",
    authors="Ho, Ermon",
    year=2016,
    arxiv="1606.03476",
    field="reinforcement learning",
    claim="Few episodes of an expert suffice to act like it, where cloning them fails.",
    curves=("eval/return",),
    method="gail_1",
)
METHODS = ("gail", "cloning", "expert")
REWARDS = ("-log D", "log(1 - D)")


class State(flax.struct.PyTreeNode):
    """What a run carries from step to step.

    Attributes:
      policy: variables of pi.
      value: the value function, beside it.
      discriminator: D.
      actors: the environments in the middle of their episodes.
      expert: the expert's pairs.
    """

    policy: Any
    value: LearnerState
    discriminator: LearnerState
    actors: Actors
    expert: Demonstrations


class GenerativeAdversarialImitation(OnPolicy):
    """Algorithm 1. The method "expert" takes the policy's steps alone, with the true reward."""

    def __init__(self, config: ConfigDict):
        check_choice("gail.reward", config.gail.reward, REWARDS)
        agent = config.agent
        super().__init__(
            make_collector(
                games.Settings(**config.env), agent.rollout_steps, agent.gamma, agent.gae_lambda
            ),
            total_frames=config.total_frames,
            test_env=make_test_env(config),
            greedy=config.eval.greedy,
        )
        size = self.env.num_envs * agent.rollout_steps
        check_rollout(size, agent.value_minibatches, agent.fisher_every)
        self.config = config
        self.trpo = TRPO(
            actor=make_actor(config, self.env),
            critic=Learner(
                Critic(config.model.variant, config.compute_dtype),
                optax.adam(config.optimizer.learning_rate, eps=config.optimizer.adam_epsilon),
                max_grad_norm=config.max_grad_norm,
            ),
            kl_limit=agent.kl_limit,
            damping=agent.damping,
            cg_iterations=agent.cg_iterations,
            backtracks=agent.backtracks,
            fisher_every=agent.fisher_every,
            value_epochs=agent.value_epochs,
            value_minibatches=agent.value_minibatches,
        )
        network = PairDiscriminator(
            self.env.num_actions, tuple(config.gail.hidden), config.compute_dtype
        )
        self.discriminator = Learner(network, optax.adam(config.gail.learning_rate))

    def init(self, key: jax.Array) -> State:
        env_key, policy_key, value_key, discriminator_key = jax.random.split(key, 4)
        actors = self.collector.init(env_key)
        observation = actors.observation[:1]
        expert = no_demonstrations(self.config)
        pairs = flatten(expert)
        return State(
            policy=self.trpo.init_policy(policy_key, observation),
            value=self.trpo.critic.init(value_key, observation),
            discriminator=self.discriminator.init(
                discriminator_key, pairs.observation[:1], pairs.action[:1]
            ),
            actors=actors,
            expert=expert,
        )

    def warm_start(self, state: State, before: Demonstrations) -> State:
        """Takes in the expert's pairs."""
        return state.replace(expert=before)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One iteration of algorithm 1."""
        play_key, discriminator_key, value_key = jax.random.split(key, 3)
        policy_and_value = functools.partial(self.policy_and_value, state)
        actors, trajectory = self.collector.run(state.actors, policy_and_value, play_key, batch)

        discriminator = state.discriminator
        metrics: dict[str, jax.Array] = {}
        if self.config.method == "gail":
            discriminator, metrics = self.update_discriminator(
                discriminator, trajectory, state.expert, discriminator_key
            )
            trajectory = self.replace_rewards(discriminator, trajectory)

        # The TRPO rule on the cost that the discriminator has become (equation 18).
        actors, rollout, episodes = self.collector.estimate(actors, trajectory)
        rollout = flatten(rollout)
        policy, policy_step = self.trpo.improve(state.policy, rollout)
        value, fit = self.trpo.fit(state.value, rollout, value_key)
        metrics = {
            "value_loss": fit["loss"],
            "kl": policy_step.kl,
            **metrics,
            **episodes,
            "entropy": rollout.policy.entropy().mean(),
        }
        return State(policy, value, discriminator, actors, state.expert), metrics

    def update_discriminator(
        self,
        state: LearnerState,
        trajectory: Trajectory,
        expert: Demonstrations,
        key: jax.Array,
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Gradient steps on the policy's newest pairs and all of the expert's (equation 17)."""
        pairs = flatten(trajectory), flatten(expert)

        def update(state: LearnerState, key: jax.Array) -> tuple[LearnerState, dict]:
            return self.discriminator.minimize(state, self.discriminator_loss, pairs, key)

        keys = jax.random.split(key, self.config.gail.updates)
        state, metrics = jax.lax.scan(update, state, keys)
        return state, {f"discriminator/{name}": values[-1] for name, values in metrics.items()}

    def discriminator_loss(
        self, variables: Any, batch: tuple[Trajectory, Demonstrations], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """`batch`: the policy's pairs `[B, ...]` and the expert's `[P, ...]`."""
        policy_logits, expert_logits = (
            self.discriminator.apply(variables, pairs.observation, pairs.action)[0]
            for pairs in batch
        )
        loss, told_apart = discriminator_loss(policy_logits, expert_logits, batch[1].present)
        return loss, Aux({"told_apart": told_apart})

    def replace_rewards(self, discriminator: LearnerState, trajectory: Trajectory) -> Trajectory:
        """Puts the discriminator's rewards, with the causal entropy, in place of the task's."""
        pairs = flatten(trajectory)
        logits = self.discriminator.apply(discriminator, pairs.observation, pairs.action)[0]
        reward = imitation_reward(logits, self.config.gail.reward)
        reward = reward.reshape(trajectory.reward.shape)
        # The gradient of lambda H(pi) is that of one more reward, -log pi(a|s) (equation 18).
        log_prob = trajectory.policy.log_prob(trajectory.action)
        return trajectory._replace(reward=reward - self.config.gail.entropy_weight * log_prob)

    def policy_and_value(
        self, variables: State, observation: jax.Array
    ) -> tuple[Distribution, jax.Array]:
        policy = self.policy(variables.policy, observation)
        return policy, self.trpo.value(variables.value, observation)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return self.trpo.policy(variables, observation)

    def eval_variables(self, state: State) -> Any:
        return state.policy

    def demonstrate(self, variables: Any, key: jax.Array) -> Demonstrations:
        """Episodes of the policy with these variables, thinned out for those who imitate it."""

        def act(observation: jax.Array, key: jax.Array) -> jax.Array:
            return self.policy(variables, observation).sample(key)

        return demonstrations.record(
            demonstrators(self.config),
            act,
            key,
            max_steps=self.config.expert.max_episode_steps,
            every_steps=self.config.expert.every_steps,
        )


def discriminator_loss(
    policy_logits: jax.Array, expert_logits: jax.Array, present: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """-E_pi[log D(s, a)] - E_expert[log(1 - D(s, a))] (equation 17).

    Args:
      policy_logits: of D for the policy's pairs, `[B]`.
      expert_logits: of D for the expert's, `[P]`.
      present: `[P]` bool, which of the expert's are there.

    Returns:
      The loss, and how often D is on the right side, the mean of both kinds of pairs.
    """
    share = present / present.sum()
    # -log D = softplus(-logit), and -log(1 - D) = softplus(logit).
    loss = jax.nn.softplus(-policy_logits).mean() + (share * jax.nn.softplus(expert_logits)).sum()
    told_apart = ((policy_logits > 0).mean() + (share * (expert_logits < 0)).sum()) / 2
    return loss, told_apart


def imitation_reward(logits: jax.Array, kind: str) -> jax.Array:
    """Rewards `[B]` of D's logits `[B]`: "-log D", at least 0, or "log(1 - D)", at most 0."""
    return jax.nn.softplus(-logits) if kind == "-log D" else -jax.nn.softplus(logits)


def build(config: ConfigDict) -> Experiment:
    """The experiment of a method: GAIL and its expert, or cloning, which it is compared with."""
    check_choice("method", config.method, METHODS)
    if config.vmap_seeds:
        raise UserError("each seed has an expert of its own: set vmap_seeds=false")
    env = games.training_environment(games.Settings(**config.env))
    if len(env.observation_space.shape) != 1 or config.env.normalize_observations:
        raise UserError(
            "demonstrations are vectors as the task gives them: env.name is one of classic "
            "control, env.normalize_observations=false"
        )
    if config.method != "cloning":
        return GenerativeAdversarialImitation(config)
    cloning = config.cloning
    return BehavioralCloning(
        Learner(make_actor(config, env), optax.adam(cloning.learning_rate)),
        no_demonstrations(config),
        train_share=cloning.train_share,
        batch_size=cloning.batch_size,
        updates_per_step=cloning.updates_per_step,
        num_steps=cloning.num_steps,
        test_env=make_test_env(config),
        greedy=config.eval.greedy,
    )


def make_actor(config: ConfigDict, env: Environment) -> Actor:
    """The policy's network, the same for all methods (section 6)."""
    return Actor(env.num_actions, env.action_size, config.model.variant, config.compute_dtype)


def make_test_env(config: ConfigDict) -> Environment:
    return games.evaluation_games(
        games.Settings(**config.env), games.EvaluationSettings(**config.eval)
    )


def demonstrators(config: ConfigDict) -> Environment:
    """A copy of the task for each of the expert's episodes that is seen."""
    return games.evaluation_games(
        games.Settings(**config.env), games.EvaluationSettings(config.expert.episodes)
    )


def no_demonstrations(config: ConfigDict) -> Demonstrations:
    """The shapes of the expert's pairs, which `warm_start` brings."""
    expert = config.expert
    return demonstrations.blank(demonstrators(config), expert.max_episode_steps, expert.every_steps)


def main(experiment: Experiment, config: ConfigDict, workdir: Path) -> dict[str, float]:
    """Trains an expert by the true reward, then what imitates it by its pairs."""
    overrides = {"method": "expert", "total_frames": config.expert.total_frames}
    expert_config = with_overrides(config, overrides)
    expert = GenerativeAdversarialImitation(expert_config)
    expert_state, expert_numbers = training.run(expert, expert_config, workdir / "expert")

    # Keys, as the expert itself, are the same in every arm of a seed.
    pairs_key = jax.random.fold_in(jax.random.key(config.seed), 7)
    variables = jax.device_get(expert_state.policy)
    pairs = jax.device_get(jax.jit(expert.demonstrate)(variables, pairs_key))

    _, numbers = training.run(experiment, config, workdir, pairs)
    expert_return = expert_numbers["eval/return"]
    random = random_return(make_test_env(config), config.seed)
    return {
        **numbers,
        "expert/return": expert_return,
        "random/return": random,
        # Share of the way from a random policy to the expert (figure 1).
        "score": (numbers["eval/return"] - random) / (expert_return - random),
        "expert/pairs": float(pairs.present.sum()),
    }


def demo(experiment: GenerativeAdversarialImitation | BehavioralCloning, state: Any) -> Demo:
    return play_demo(
        experiment.test_play,
        experiment.test_variables(state),
        title="Watch it imitate",
        says="The policy has never seen a reward: it acts as an expert does, of whom it has seen a "
        "few steps. You see what it sees.",
    )


def claims(results: Results) -> list[Claim]:
    if not {"gail_1", "cloning_1"} <= set(results.arms):
        return []
    score = results["score"]
    pairs = results["expert/pairs"]["gail_1"].mean()
    rows = [
        score.at_least(
            "gail_1",
            0.6,
            claim=f"{pairs:.0f} pairs of one episode: GAIL's share of the way to the expert",
            paper="near 1 (figure 1)",
        )
    ]
    for arm, what in (("cloning_1", "the same pairs"), ("cloning_11", "those of 11 episodes")):
        if arm in results.arms:
            row = score.above(
                "gail_1",
                arm,
                by=0.4,
                claim=f"GAIL, not cloning {what}",
                paper="cloning needs more data (figure 1)",
            )
            rows.append(row)
    return rows


if __name__ == "__main__":
    app.run()
