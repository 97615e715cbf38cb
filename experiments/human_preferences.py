"""Deep Reinforcement Learning from Human Preferences (Christiano, Leike, Brown, Martic, Legg,
Amodei, 2017), arXiv:1706.03741.

Claim: some hundred comparisons of short clips stand in for the reward.

The three processes of section 2.2 take turns in a step instead of running side by side: the policy
plays a rollout, TRPO or A2C learns from the predicted rewards, pairs of clips are asked about, and
the predictors are fitted. An oracle answers at once, by the true rewards; a person answers on a
page of this computer (`queries.labeller=person`), while the policy goes on until `queries.waiting`
are unanswered. Departures: bootstrap samples are kept as comparisons come (each member holds
Poisson(1) copies); no MuJoCo, so classic control with its full reward; in Atari games the score
stays in the picture, and the oracle compares rewards clipped as the policy's were.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from research import app, training
from research.paper import Claim, Paper
from research.rl import clips, games
from research.rl.a2c import A2C
from research.rl.clips import Clip, Comparisons, History
from research.rl.distributions import indifferent
from research.rl.labelling import ANSWERS, Desk, PersonSource, Waiting
from research.rl.on_policy import evaluation, make_collector, rules
from research.rl.reward_ensemble import EnsembleState, RewardEnsemble
from research.rl.rollouts import Actors, flattened, without_ends
from research.rl.trpo import TRPO
from research.rl.trust_region_agent import TrustRegionAgent
from research.training.errors import check_choice
from research.viz.clip_films import check_drawn, film_strip
from research.viz.label_page import LabelPage

PAPER = Paper(
    title="Deep Reinforcement Learning from Human Preferences",
    authors="Christiano et al.", year=2017, arxiv="1706.03741",
    claim="Some hundred comparisons of short clips stand in for the reward.",
    curves=("train/return", "reward/correlation"), x="frames",
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


def build(config: Any) -> training.Experiment:
    agent, queries = config.agent, config.queries
    check_choice("agent.reward", agent.reward, ("predicted", "true"))
    check_choice("agent.algorithm", agent.algorithm, ("trpo", "a2c"))
    check_choice("queries.labeller", queries.labeller, ("oracle", "person"))
    check_choice("queries.selection", queries.selection, ("variance", "random"))
    person = queries.labeller == "person"
    env = games.training_environment(config.env)
    collector = make_collector(config, env)
    frames = env.num_envs * agent.rollout_steps * env.frames_per_step
    num_steps = config.total_frames // frames
    schedule = clips.label_schedule(queries, num_steps, agent.rollout_steps, frames)
    most = max(int(schedule.max()), 1)
    policy = A2C.make(config, env, num_steps) if agent.algorithm == "a2c" else (
        TrustRegionAgent(TRPO.make(config, env), agent.entropy_weight))
    ensemble = RewardEnsemble.make(config, env)

    def play(learned: Any, actors: Actors, key: jax.Array) -> Any:
        actors, played = collector.act(actors, lambda seen: policy.act(learned, seen), key)
        return actors, played, Clip(played.observation, played.action, played.reward)

    def init(key: jax.Array) -> State:
        env_key, net_key, reward_key = jax.random.split(key, 3)
        actors = collector.init(env_key)
        learned = policy.init(net_key, actors.observation[:1])
        like = jax.eval_shape(play, learned, actors, key)[2]
        history = History.empty(max(queries.history_steps, agent.rollout_steps), like)
        some = jax.tree.map(lambda x: x[0], history.steps)
        pair = jax.eval_shape(
            lambda: clips.cut(history, queries.clip_steps, jnp.zeros(most, jnp.int32)))
        return State(
            learned, actors, history, ensemble.init(reward_key, some.observation, some.action),
            Comparisons.empty(queries.memory, config.reward.members, pair),
            Waiting.empty(queries.waiting, pair) if person else None, jnp.int32(0),
        )

    def ask(state: State, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        """New comparisons, and predictors fitted to all of them (sections 2.2.3 and 2.2.4)."""
        select_key, copy_key, fit_key = jax.random.split(key, 3)
        pairs = clips.select_pairs(
            queries, most, state.history, lambda *x: ensemble.predict(state.ensemble, *x),
            jnp.asarray(schedule)[state.steps], select_key,
        )
        if person:
            state = state.replace(waiting=state.waiting.add(pairs))
            comparisons = state.comparisons
        else:
            comparisons = state.comparisons.add(pairs, clips.oracle(pairs), copy_key)
        updates = jnp.where(state.steps < queries.initial_steps + person,
                            config.reward.initial_updates, config.reward.updates)
        fitted, metrics = ensemble.fit(state.ensemble, comparisons, updates, fit_key)
        return state.replace(ensemble=fitted, comparisons=comparisons), metrics

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, ask_key, learn_key, answer_key = jax.random.split(key, 4)
        if person:
            waiting, pairs, preference = state.waiting.take(batch["answer"])
            state, batch = state.replace(waiting=waiting, comparisons=state.comparisons.add(
                pairs, preference, answer_key)), batch["inner"]
        actors = state.actors.replace(env=env.receive(state.actors.env, batch))
        actors, played, steps = play(state.learned, actors, play_key)
        metrics: dict[str, jax.Array] = {}
        if agent.reward == "predicted":  # nothing below but the oracle looks at a true reward
            state = state.replace(history=state.history.add(steps, played.ended))
            state, metrics = ask(state, ask_key)
            rewards = ensemble.predict(state.ensemble, steps.observation, steps.action)
            judge = ensemble.seen(state.ensemble, rewards)
            played = played._replace(reward=ensemble.reward(judge, rewards))
            if agent.hide_ends:
                played = without_ends(played, policy.act(state.learned, actors.observation)[1])
            state = state.replace(ensemble=judge)
            metrics |= {"labels": state.comparisons.total, "reward/correlation": jnp.corrcoef(
                played.reward.ravel(), steps.reward.ravel())[0, 1]}
        actors, rollout, returns = collector.estimate(actors, played)
        learned, learning = policy.learn(state.learned, flattened(rollout), learn_key)
        # Until there are comparisons to learn from, the policy stays as random as it began.
        starting = state.steps < queries.initial_steps
        learned = jax.tree.map(
            lambda new, old: jnp.where(starting, old, new), learned, state.learned)
        state = state.replace(learned=learned, actors=actors, steps=state.steps + 1)
        return state, {**learning, **returns, **metrics}

    evaluate = evaluation(
        config, policy.policy, lambda state: policy.eval_variables(state.learned))
    source = games.emulators(env, lambda state: state.actors.env)
    if person:
        check_drawn(config.env.name, env.observation_space.shape)
        source = PersonSource(
            queries, most, lambda state: state.waiting,
            lambda clip: film_strip(config.env.name, clip.observation), source,
        )
    split = [*rules(env), ("^history", PartitionSpec(None, "data"))] if rules(env) else []
    return training.Experiment(init, step, num_steps, source, evals={"eval": evaluate},
                               rules=split, per_step={"frames": frames})


def main(config: Any, workdir: Path) -> dict[str, float]:
    experiment, page = build(config), contextlib.nullcontext()
    if isinstance(experiment.source, PersonSource):
        desk = experiment.source.desk = Desk(workdir, config.queries.total_labels)
        page = LabelPage(desk, ANSWERS, config.queries.port)
    with page:
        state = training.run(experiment, config, workdir)
    numbers = training.evaluate(experiment, state, config)
    if config.agent.reward == "true":  # what the other arms are measured by
        env = games.training_environment(config.env)
        play = evaluation(config, lambda _, seen: indifferent(
            env.num_actions, env.action_size, len(seen)), lambda _: None)
        numbers["random/return"] = play(state, jax.random.key(config.seed))["return"]
    return numbers


def claims(results: Any) -> list[Claim]:
    if "true_reward" not in results:  # a task alone
        return []
    # Of the way from a random policy's return to that with the true reward, each seed's share.
    floor, best = (results["true_reward"][name].mean() for name in ("random/return", "eval/return"))
    shares = {k: (numbers["eval/return"] - floor) / (best - floor)
              for k, numbers in results.items()}
    shown = {k: f"{k} {100 * v.mean():.0f} % ({100 * v.min():.0f} to {100 * v.max():.0f})"
             for k, v in shares.items()}
    ours = shares["preferences"]
    held = {  # rows of the arms that were run
        "no_labels": ("no labels lead <= 20 % of it", "", lambda x: x.mean() <= 0.2),
        "offline": ("as many, all from the random policy: >= 10 points less",
                    "poor (section 3.3)", lambda x: ours.mean() >= x.mean() + 0.1),
    }
    return [
        Claim("700 comparisons lead >= 80 % of the way that the reward leads",
              "nearly matches it (figure 2)", shown["preferences"], ours.mean() >= 0.8),
        *(Claim(what, paper, f"{shown['preferences']}, {shown[arm]}", judge(shares[arm]))
          for arm, (what, paper, judge) in held.items() if arm in shares),
    ]


if __name__ == "__main__":
    app.run()
