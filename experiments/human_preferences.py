"""Deep Reinforcement Learning from Human Preferences (Christiano et al., 2017), arXiv:1706.03741.

Claim: some hundred comparisons of short clips stand in for the reward.

The processes of section 2.2 take turns: in each step the policy plays, pairs of clips are chosen,
the predictors are fitted to all comparisons, and TRPO or A2C learns from the predicted rewards. An
oracle compares at once, by the true rewards; a person (`queries.labeller=person`) on a local page,
while the policy goes on until too many pairs wait. Departures: a bootstrap by Poisson; for MuJoCo
classic control; in Atari scores are seen, rewards clipped, and ends are no penalty to the oracle.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from research import app, training
from research.core import Experiment, Learner, UserError
from research.core.errors import check_choice
from research.core.legacy import OldExperiment
from research.models.actor_critic import Actor, ActorCritic, Critic
from research.papers.human_preferences import clips
from research.papers.human_preferences.advantage_actor_critic import AdvantageActorCritic
from research.papers.human_preferences.clip_films import check_drawn, film_strip
from research.papers.human_preferences.clips import Clip, Comparisons, History
from research.papers.human_preferences.label_page import LabelPage
from research.papers.human_preferences.labelling import ANSWERS, Desk, PersonSource, Waiting
from research.papers.human_preferences.reward_ensemble import EnsembleState, RewardEnsemble
from research.papers.human_preferences.reward_model import RewardModel
from research.papers.human_preferences.trust_region_agent import TrustRegionAgent
from research.report.claims import Claim, Paper
from research.rl.acting.actor import Actors
from research.rl.acting.rollouts import flatten, without_ends
from research.rl.agents.on_policy import ACTOR_RULES, evaluation, make_collector, random_return
from research.rl.agents.trpo import TRPO, check_rollout
from research.rl.envs import games

PAPER = Paper(
    title="Deep Reinforcement Learning from Human Preferences",
    authors="Christiano et al.",
    year=2017,
    arxiv="1706.03741",
    claim="Some hundred comparisons of short clips stand in for the reward.",
    curves=("train/return", "reward/correlation"),
    x="frames",
)


@flax.struct.dataclass
class State:
    learned: Any  # policy and value
    actors: Actors
    history: History  # the newest steps, from which clips are cut
    ensemble: EnsembleState
    comparisons: Comparisons
    waiting: Waiting | None  # queries that a person has not answered
    steps: jax.Array
    needed: jax.Array  # comparisons until the mean return of a rollout reached the goal


def build(config: Any) -> Experiment:
    agent, queries = config.agent, config.queries
    check_choice("agent.reward", agent.reward, ("predicted", "true"))
    check_choice("agent.algorithm", agent.algorithm, ("trpo", "a2c"))
    check_choice("queries.labeller", queries.labeller, ("oracle", "person"))
    if config.env.normalize_observations:  # clips are as the environment gave them
        raise UserError("set env.normalize_observations=false")
    person = queries.labeller == "person"
    env_settings = games.Settings(**config.env)
    collector = make_collector(env_settings, agent.rollout_steps, agent.gamma, agent.gae_lambda)
    env = collector.env
    frames = env.num_envs * agent.rollout_steps * env.frames_per_step
    num_steps = config.total_frames // frames
    schedule = clips.label_schedule(queries, num_steps, agent.rollout_steps, frames)
    most = max(int(schedule.max()), 1)
    policy, predictor = agent_and_predictor(config, env, num_steps)
    ensemble = RewardEnsemble(
        Learner(predictor, optax.adam(config.reward.learning_rate)), config.reward
    )

    def play(learned: Any, actors: Actors, key: jax.Array) -> Any:
        actors, played = collector.run(actors, lambda seen: policy.act(learned, seen), key)
        return actors, played, Clip(played.observation, played.action, played.reward)

    def init(key: jax.Array) -> State:
        env_key, net_key, reward_key = jax.random.split(key, 3)
        actors = collector.init(env_key)
        learned = policy.init(net_key, actors.observation[:1])
        like = jax.eval_shape(play, learned, actors, key)[2]
        history = History.empty(max(queries.history_steps, agent.rollout_steps), like)
        some = jax.tree.map(lambda x: x[0], history.steps)
        pair = clips.cut(history, queries.clip_steps, jnp.zeros(1, jnp.int32))
        return State(
            learned,
            actors,
            history,
            ensemble.init(reward_key, some.observation, some.action),
            Comparisons.empty(queries.memory, config.reward.members, pair),
            Waiting.empty(queries.waiting, pair) if person else None,
            jnp.int32(0),
            jnp.int32(queries.total_labels),  # all, and perhaps more, if it never does
        )

    def ask(state: State, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        """New comparisons, and predictors fitted to all of them (sections 2.2.3 and 2.2.4)."""
        select_key, copy_key, fit_key = jax.random.split(key, 3)
        pairs = clips.select_pairs(
            queries,
            most,
            state.history,
            lambda *x: ensemble.predict(state.ensemble, *x),
            jnp.asarray(schedule)[state.steps],
            select_key,
        )
        if person:
            state = state.replace(waiting=state.waiting.add(pairs))
        else:
            known = state.comparisons.add(pairs, clips.oracle(pairs), copy_key)
            state = state.replace(comparisons=known)
        updates = jnp.where(
            state.steps < queries.initial_steps + person,
            config.reward.initial_updates,
            config.reward.updates,
        )
        fitted, metrics = ensemble.fit(state.ensemble, state.comparisons, updates, fit_key)
        return state.replace(ensemble=fitted), metrics

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, ask_key, learn_key, answer_key = jax.random.split(key, 4)
        if person:
            waiting, *answered = state.waiting.take(batch["answer"])
            known = state.comparisons.add(*answered, answer_key)
            state, batch = state.replace(waiting=waiting, comparisons=known), batch["inner"]
        actors = state.actors.replace(env=env.receive(state.actors.env, batch))
        actors, played, steps = play(state.learned, actors, play_key)
        metrics: dict[str, jax.Array] = {}
        if agent.reward == "predicted":  # nothing below but the oracle looks at a true reward
            state = state.replace(history=state.history.add(steps, played.done))
            state, metrics = ask(state, ask_key)
            judge, rewards = ensemble.reward(state.ensemble, steps.observation, steps.action)
            state, played = state.replace(ensemble=judge), played._replace(reward=rewards)
            if agent.hide_ends:
                played = without_ends(played, policy.act(state.learned, actors.observation)[1])
            metrics |= {
                "labels": state.comparisons.total,
                "reward/correlation": jnp.corrcoef(played.reward.ravel(), steps.reward.ravel())[
                    0, 1
                ],
            }
        actors, rollout, returns = collector.estimate(actors, played)
        learned, learning = policy.learn(state.learned, flatten(rollout), learn_key)
        # Until there are comparisons to learn from, the policy stays as random as it began.
        starting = state.steps < queries.initial_steps
        learned = jax.tree.map(lambda *x: jnp.where(starting, *x), state.learned, learned)
        needed = jnp.where(
            returns["train/return"] >= queries.goal_return,
            jnp.minimum(state.needed, state.comparisons.total),
            state.needed,
        )
        state = state.replace(learned=learned, actors=actors, needed=needed, steps=state.steps + 1)
        return state, {**learning, **returns, **metrics}

    test = evaluation(test_games(config), policy.policy, greedy=config.eval.greedy)

    def play_on(state: State, key: jax.Array) -> dict[str, float]:
        return test((policy.eval_variables(state.learned), state.actors.moments), key)

    source = collector.source
    if person:
        check_drawn(config.env.name, env.observation_space.shape)
        source = PersonSource(
            queries,
            most,
            lambda state: state.waiting,
            lambda clip: film_strip(config.env.name, clip.observation),
            source,
        )
    splits = [*ACTOR_RULES, ("^history", PartitionSpec(None, "data"))]
    return OldExperiment(
        init,
        step,
        num_steps,
        source,
        evals={"eval": play_on},
        splits=splits,
        per_step={"frames": frames},
    )


def agent_and_predictor(config: Any, env: Any, num_steps: int) -> tuple[Any, RewardModel]:
    model, dtype, reward = config.model, config.compute_dtype, config.reward
    sizes = env.num_actions, env.action_size
    if config.agent.algorithm == "a2c":
        rate = config.optimizer.learning_rate
        agent = AdvantageActorCritic(
            Learner(
                ActorCritic(*sizes, model.variant, model.shared, dtype),
                optax.rmsprop(
                    optax.linear_schedule(rate, 0.0 if config.agent.anneal else rate, num_steps),
                    decay=config.optimizer.rmsprop_decay,
                    eps=config.optimizer.rmsprop_epsilon,
                ),
                max_grad_norm=config.max_grad_norm,
            ),
            config.agent.value_weight,
            config.agent.entropy_weight,
        )
    else:
        settings = config.agent
        check_rollout(
            env.num_envs * settings.rollout_steps,
            settings.value_minibatches,
            settings.fisher_every,
        )
        trpo = TRPO(
            actor=Actor(*sizes, model.variant, dtype),
            critic=Learner(
                Critic(model.variant, dtype),
                optax.adam(config.optimizer.learning_rate, eps=config.optimizer.adam_epsilon),
                max_grad_norm=config.max_grad_norm,
            ),
            kl_limit=settings.kl_limit,
            damping=settings.damping,
            cg_iterations=settings.cg_iterations,
            backtracks=settings.backtracks,
            fisher_every=settings.fisher_every,
            value_epochs=settings.value_epochs,
            value_minibatches=settings.value_minibatches,
        )
        agent = TrustRegionAgent(trpo, settings.entropy_weight)
    return agent, RewardModel(reward.variant, env.num_actions, reward.dropout, dtype)


def test_games(config: Any) -> Any:
    return games.evaluation_games(
        games.Settings(**config.env),
        config.eval.episodes,
        max_noops=config.eval.max_noops,
        max_episode_frames=config.eval.max_episode_frames,
    )


def main(config: Any, workdir: Path) -> dict[str, float]:
    experiment, page = build(config), contextlib.nullcontext()
    if isinstance(experiment.source, PersonSource):
        desk = experiment.source.desk = Desk(workdir, config.queries.total_labels)
        page = LabelPage(desk, ANSWERS, config.queries.port)
    with page:
        state, numbers = training.run(experiment, config, workdir)
    also = (
        {"labels/needed": float(state.needed)}
        if config.agent.reward == "predicted"
        else {"random/return": random_return(test_games(config), config.seed)}
    )
    return {**numbers, **also}


def claims(results: Any) -> list[Claim]:
    if "true_reward" not in results:  # a task alone
        return []
    # Shares of the way from a random policy's return to that with the true reward. Seeds 0, 1, 2:
    # ours 1 1 1, offline .9 .57 .62, no_labels .08 .17 .08; labels 531 531 462, random 605 615 all.
    floor, best = (results["true_reward"][name].mean() for name in ("random/return", "eval/return"))
    share = {k: (v["eval/return"] - floor) / (best - floor) for k, v in results.items()}
    shown = {k: f"{k} {' '.join(f'{x:.0%}' for x in v)}" for k, v in share.items()}
    ours, needed = share["preferences"].mean(), results["preferences"]["labels/needed"]
    rows = [
        Claim(
            "700 comparisons lead >= 80 % of the way that the reward leads",
            "nearly matches it (figure 2)",
            shown["preferences"],
            ours >= 0.8,
        )
    ]
    if "random_queries" in results:
        more = results["random_queries"]["labels/needed"]
        rows.append(
            Claim(
                "chosen at random: >= 1.1 x as many to 80 % of the way",
                "(section 3.3)",
                f"random {more}, ours {needed}",
                more.mean() >= 1.1 * needed.mean(),
            )
        )
    limits = {
        "offline": (
            "as many, all at the start: >= 10 points less",
            "poor (section 3.3)",
            ours - 0.1,
        ),
        "no_labels": ("without any: <= 20 %", "", 0.2),
    }
    return rows + [
        Claim(what, paper, shown[arm], share[arm].mean() <= most)
        for arm, (what, paper, most) in limits.items()
        if arm in share
    ]


if __name__ == "__main__":
    app.run()
