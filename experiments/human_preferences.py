"""Deep Reinforcement Learning from Human Preferences (Christiano et al., 2017), arXiv:1706.03741.

Claim: some hundred comparisons of short clips stand in for the reward.

The processes of section 2.2 take turns: in each step the policy plays, pairs of clips are chosen,
the predictors are fitted to all comparisons, and TRPO or A2C learns from the predicted rewards. An
oracle compares at once, by the true rewards; a person (`queries.labeller=person`) on a local page,
while the policy goes on until too many pairs wait. Departures: a bootstrap by Poisson; for MuJoCo
classic control; in Atari scores are seen, rewards clipped, and ends are no penalty to the oracle.
"""

from __future__ import annotations

import research.early  # answers --help at once

import contextlib
import functools
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app, training
from research.core import Learner, UserError
from research.core.errors import check_choice
from research.models.actor_critic import Actor, ActorCritic, Critic
from research.papers.human_preferences import clips
from research.papers.human_preferences.advantage_actor_critic import AdvantageActorCritic
from research.papers.human_preferences.clip_films import check_drawn, film_strip
from research.papers.human_preferences.clips import Clip, Comparisons, History, Pairs
from research.papers.human_preferences.label_page import LabelPage
from research.papers.human_preferences.labelling import (
    ANSWERS,
    Desk,
    PendingQueries,
    PersonSource,
)
from research.papers.human_preferences.reward_ensemble import EnsembleState, RewardEnsemble
from research.papers.human_preferences.reward_model import RewardModel
from research.papers.human_preferences.trust_region_agent import TrustRegionAgent
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Distribution
from research.rl.acting.rollouts import Trajectory, flatten, without_ends
from research.rl.agents.on_policy import ACTOR_RULES, OnPolicy, make_collector, random_return
from research.rl.agents.trpo import TRPO, check_rollout
from research.rl.envs import games

PAPER = Paper(
    title="Deep Reinforcement Learning from Human Preferences",
    authors="Christiano et al.",
    year=2017,
    arxiv="1706.03741",
    field="reinforcement learning",
    claim="Some hundred comparisons of short clips stand in for the reward.",
    curves=("train/return", "reward/correlation"),
    x="frames",
    method="preferences",
)


class State(flax.struct.PyTreeNode):
    """What a run carries from step to step.

    Attributes:
      agent: policy and value.
      actors: the environments in the middle of their episodes.
      history: the newest steps, from which clips are cut.
      ensemble: predictors of the reward.
      comparisons: made so far.
      pending: queries that a person has not answered; None without a person.
      labels_needed: comparisons until the mean return of a rollout reached the goal.
    """

    agent: Any
    actors: Actors
    history: History
    ensemble: EnsembleState
    comparisons: Comparisons
    pending: PendingQueries | None
    labels_needed: jax.Array


class HumanPreferences(OnPolicy):
    """A policy that learns from rewards that are predicted from comparisons of its own clips."""

    def __init__(self, config: ConfigDict):
        check_choice("agent.reward", config.agent.reward, ("predicted", "true"))
        check_choice("agent.algorithm", config.agent.algorithm, ("trpo", "a2c"))
        check_choice("queries.labeller", config.queries.labeller, ("oracle", "person"))
        check_choice("queries.selection", config.queries.selection, clips.SELECTIONS)
        if config.env.normalize_observations:  # clips are as the environment gave them
            raise UserError("set env.normalize_observations=false")
        self.config = config
        agent = config.agent
        settings = games.Settings(**config.env)
        super().__init__(
            make_collector(settings, agent.rollout_steps, agent.gamma, agent.gae_lambda),
            total_frames=config.total_frames,
            test_env=games.evaluation_games(settings, games.EvaluationSettings(**config.eval)),
            greedy=config.eval.greedy,
        )
        self.soft_rules = [*ACTOR_RULES, ("^history", PartitionSpec(None, "data"))]
        self.agent = self.make_a2c() if agent.algorithm == "a2c" else self.make_trpo()
        self.ensemble = self.make_ensemble()

        queries = config.queries
        self.labels_due = clips.label_schedule(
            self.num_steps,
            agent.rollout_steps,
            self.collector.frames,
            total_labels=queries.total_labels,
            initial_fraction=queries.initial_fraction,
            initial_steps=queries.initial_steps,
            annealing_frames=queries.annealing_frames,
            clip_steps=queries.clip_steps,
        )
        self.max_pairs = max(int(self.labels_due.max()), 1)
        self.asks_person = queries.labeller == "person"
        if self.asks_person:
            self.source = self.make_person()

    # Parts

    def make_a2c(self) -> AdvantageActorCritic:
        """The paper's agent in Atari games (A.2)."""
        agent, model, optimizer = self.config.agent, self.config.model, self.config.optimizer
        network = ActorCritic(
            self.env.num_actions,
            self.env.action_size,
            model.variant,
            model.shared,
            self.config.compute_dtype,
        )
        last_rate = 0.0 if agent.anneal else optimizer.learning_rate
        rate = optax.linear_schedule(optimizer.learning_rate, last_rate, self.num_steps)
        tx = optax.rmsprop(rate, decay=optimizer.rmsprop_decay, eps=optimizer.rmsprop_epsilon)
        learner = Learner(network, tx, max_grad_norm=self.config.max_grad_norm)
        return AdvantageActorCritic(learner, agent.value_weight, agent.entropy_weight)

    def make_trpo(self) -> TrustRegionAgent:
        """The paper's agent in continuous control (A.1)."""
        agent, model, optimizer = self.config.agent, self.config.model, self.config.optimizer
        size = self.env.num_envs * agent.rollout_steps
        check_rollout(size, agent.value_minibatches, agent.fisher_every)
        dtype = self.config.compute_dtype
        trpo = TRPO(
            actor=Actor(self.env.num_actions, self.env.action_size, model.variant, dtype),
            critic=Learner(
                Critic(model.variant, dtype),
                optax.adam(optimizer.learning_rate, eps=optimizer.adam_epsilon),
                max_grad_norm=self.config.max_grad_norm,
            ),
            kl_limit=agent.kl_limit,
            damping=agent.damping,
            cg_iterations=agent.cg_iterations,
            backtracks=agent.backtracks,
            fisher_every=agent.fisher_every,
            value_epochs=agent.value_epochs,
            value_minibatches=agent.value_minibatches,
        )
        return TrustRegionAgent(trpo, agent.entropy_weight)

    def make_ensemble(self) -> RewardEnsemble:
        reward = self.config.reward
        model = RewardModel(
            reward.variant, self.env.num_actions, reward.dropout, self.config.compute_dtype
        )
        return RewardEnsemble(
            Learner(model, optax.adam(reward.learning_rate)),
            functools.partial(comparison_loss, error_rate=reward.error_rate),
            num_members=reward.members,
            batch_size=reward.batch_size,
            check_size=reward.check_size,
            l2=reward.l2,
            l2_rate=reward.l2_rate,
            validation_ratio=reward.validation_ratio,
            std=reward.std,
            moments_decay=reward.moments_decay,
        )

    def make_person(self) -> PersonSource:
        """A source of a person's answers, beside what the environment has from the host."""
        name, queries = self.config.env.name, self.config.queries
        check_drawn(name, self.env.observation_space.shape)
        return PersonSource(
            room=queries.waiting,
            max_queries=self.max_pairs,
            initial_steps=queries.initial_steps,
            find=lambda state: state.pending,
            draw=lambda clip: film_strip(name, np.asarray(clip.observation)),
            inner=self.source,
        )

    # The algorithm

    def init(self, key: jax.Array) -> State:
        env_key, net_key, reward_key = jax.random.split(key, 3)
        queries = self.config.queries
        actors = self.collector.init(env_key)
        agent = self.agent.init(net_key, actors.observation[:1])
        steps = jax.eval_shape(self.play, agent, actors, None, key)[2]
        history_steps = max(queries.history_steps, self.config.agent.rollout_steps)
        history = History.empty(history_steps, steps)
        some = jax.tree.map(lambda x: x[0], history.steps)
        clip = clips.cut(history, queries.clip_steps, jnp.zeros(1, jnp.int32))
        return State(
            agent=agent,
            actors=actors,
            history=history,
            ensemble=self.ensemble.init(reward_key, some.observation, some.action),
            comparisons=Comparisons.empty(queries.memory, self.config.reward.members, clip),
            pending=PendingQueries.empty(queries.waiting, clip) if self.asks_person else None,
            # All of them, and perhaps more, if it never does.
            labels_needed=jnp.int32(queries.total_labels),
        )

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """The three processes of section 2.2, one after the other."""
        play_key, ask_key, learn_key, answer_key = jax.random.split(key, 4)
        if self.asks_person:
            state = self.take_answers(state, batch["answer"], answer_key)
            batch = batch["inner"]
        actors, trajectory, steps = self.play(state.agent, state.actors, batch, play_key)

        metrics: dict[str, jax.Array] = {}
        if self.config.agent.reward == "predicted":
            # Nothing in here but the oracle, and what is reported, looks at a true reward.
            state = state.replace(history=state.history.add(steps, trajectory.done))
            state, metrics = self.fit_predictors(state, t, ask_key)
            state, trajectory = self.replace_rewards(state, trajectory, actors)
            true, predicted = steps.reward.ravel(), trajectory.reward.ravel()
            metrics["labels"] = state.comparisons.total
            metrics["reward/correlation"] = jnp.corrcoef(predicted, true)[0, 1]

        actors, rollout, returns = self.collector.estimate(actors, trajectory)
        agent, learning = self.agent.learn(state.agent, flatten(rollout), learn_key)
        # Until there are comparisons to learn from, the policy stays as random as it began.
        is_random = t < self.config.queries.initial_steps
        agent = jax.tree.map(lambda *x: jnp.where(is_random, *x), state.agent, agent)
        state = state.replace(
            agent=agent,
            actors=actors,
            labels_needed=self.labels_needed(state, returns["train/return"]),
        )
        return state, {**learning, **returns, **metrics}

    def play(
        self, agent: Any, actors: Actors, batch: Any, key: jax.Array
    ) -> tuple[Actors, Trajectory, Clip]:
        """Process 1: the policy acts. Its steps `[T, N, ...]` are also given as clips have them."""
        policy = functools.partial(self.policy_and_value, agent)
        actors, trajectory = self.collector.run(actors, policy, key, batch)
        return (
            actors,
            trajectory,
            Clip(trajectory.observation, trajectory.action, trajectory.reward),
        )

    def take_answers(self, state: State, answer: jax.Array, key: jax.Array) -> State:
        """Process 2 with a person: answers that came since the last step become comparisons."""
        assert state.pending is not None
        pending, pairs, preference = state.pending.take(answer)
        comparisons = state.comparisons.add(pairs, preference, key)
        return state.replace(pending=pending, comparisons=comparisons)

    def fit_predictors(
        self, state: State, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """Processes 2 and 3: asks about new pairs, and fits the predictors to all comparisons."""
        select_key, copy_key, fit_key = jax.random.split(key, 3)
        pairs = self.select_pairs(state, t, select_key)
        if self.asks_person:
            assert state.pending is not None
            state = state.replace(pending=state.pending.add(pairs))
        else:
            comparisons = state.comparisons.add(pairs, clips.oracle(pairs), copy_key)
            state = state.replace(comparisons=comparisons)

        reward = self.config.reward
        # A person's answers come a step later than the oracle's.
        first_steps = self.config.queries.initial_steps + self.asks_person
        updates = jnp.where(t < first_steps, reward.initial_updates, reward.updates)
        ensemble, metrics = self.ensemble.fit(state.ensemble, state.comparisons, updates, fit_key)
        return state.replace(ensemble=ensemble), metrics

    def select_pairs(self, state: State, t: jax.Array, key: jax.Array) -> Pairs:
        """The pairs on whose outcome the predictors disagree most (section 2.2.4)."""
        queries = self.config.queries
        return clips.select_pairs(
            state.history,
            functools.partial(self.ensemble.predict, state.ensemble),
            jnp.asarray(self.labels_due)[t],
            key,
            max_pairs=self.max_pairs,
            candidates=queries.candidates,
            clip_steps=queries.clip_steps,
            selection=queries.selection,
        )

    def replace_rewards(
        self, state: State, trajectory: Trajectory, actors: Actors
    ) -> tuple[State, Trajectory]:
        """Puts predicted rewards, normalized (section 2.2.1), in place of the true ones."""
        ensemble, reward = self.ensemble.reward(
            state.ensemble, trajectory.observation, trajectory.action
        )
        state = state.replace(ensemble=ensemble)
        trajectory = trajectory._replace(reward=reward)
        if self.config.agent.hide_ends:
            # That an episode is over would tell of the score (A.2): the policy sees a single one.
            last_value = self.policy_and_value(state.agent, actors.observation)[1]
            trajectory = without_ends(trajectory, last_value)
        return state, trajectory

    def labels_needed(self, state: State, mean_return: jax.Array) -> jax.Array:
        """Comparisons made until a rollout's mean return first reached the goal of the claim."""
        return jnp.where(
            mean_return >= self.config.queries.goal_return,  # false where no episode ended: NaN
            jnp.minimum(state.labels_needed, state.comparisons.total),
            state.labels_needed,
        )

    # What `OnPolicy` asks of an agent with other networks than one `ActorCritic`

    def policy_and_value(
        self, variables: Any, observation: jax.Array
    ) -> tuple[Distribution, jax.Array]:
        return self.agent.act(variables, observation)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return self.agent.policy(variables, observation)

    def eval_variables(self, state: State) -> Any:
        return self.agent.eval_variables(state.agent)


def comparison_loss(
    left: jax.Array, right: jax.Array, preference: jax.Array, error_rate: float
) -> jax.Array:
    """Cross entropy of comparisons, in nats: the loss of section 2.2.3, a term of its sum.

    P[left > right] = e^left / (e^left + e^right) (equation 1, after Bradley and Terry), except in
    the share `error_rate` of answers, which come at random: there it is 1/2.

    Args:
      left, right: `[B]`, predicted rewards summed over each clip.
      preference: `[B]`, mu(1): 1 for the left clip, 0 for the right one, 1/2 for neither.
      error_rate: 0.1 in the paper.

    Returns:
      `[B]`, -mu(1) log P[left > right] - mu(2) log P[right > left].
    """

    def log_probability(gain: jax.Array) -> jax.Array:
        # log((1 - error_rate) sigmoid(gain) + error_rate / 2), in logarithms throughout.
        meant = jnp.log1p(-error_rate) + jax.nn.log_sigmoid(gain)
        return jnp.logaddexp(meant, jnp.log(error_rate / 2))

    gain = left - right
    return -preference * log_probability(gain) - (1 - preference) * log_probability(-gain)


def main(experiment: HumanPreferences, config: ConfigDict, workdir: Path) -> dict[str, float]:
    page: Any = contextlib.nullcontext()
    if isinstance(experiment.source, PersonSource):
        experiment.source.desk = Desk(workdir, config.queries.total_labels)
        page = LabelPage(experiment.source.desk, ANSWERS, config.queries.port)
    with page:
        state, numbers = training.run(experiment, config, workdir)
    if config.agent.reward == "predicted":
        return {**numbers, "labels/needed": float(state.labels_needed)}
    assert experiment.test_env is not None
    return {**numbers, "random/return": random_return(experiment.test_env, config.seed)}


def demo(experiment: HumanPreferences, state: State) -> Demo:
    return play_demo(experiment.test_play, experiment.test_variables(state))


def claims(results: Results) -> list[Claim]:
    """Compares by shares of the way from a random policy's return to that with the true reward."""
    if "true_reward" not in results.arms:  # a task alone
        return []
    returns = results["eval/return"]
    random = results["random/return"]["true_reward"].mean()
    best = returns["true_reward"].mean()
    shares = {arm: (values - random) / (best - random) for arm, values in returns.items()}
    share = Scores("share of the way", shares)

    rows = [
        share.at_least(
            "preferences",
            0.8,
            claim="share of the way that 700 comparisons lead",
            paper="nearly matches the reward (figure 2)",
        )
    ]
    if "random_queries" in results.arms:
        needed = results["labels/needed"].ratio(
            "random_queries",
            "preferences",
            1.1,
            claim="pairs chosen at random: comparisons to 80 % of the way",
            paper="(section 3.3)",
            digits=0,
        )
        rows.append(needed)
    if "offline" in results.arms:
        offline = share.above(
            "preferences",
            "offline",
            by=0.1,
            claim="as many comparisons, all at the start",
            paper="poor (section 3.3)",
        )
        rows.append(offline)
    if "no_labels" in results.arms:
        without = share.at_most("no_labels", 0.2, claim="without any comparison", paper="")
        rows.append(without)
    return rows


if __name__ == "__main__":
    app.run()
