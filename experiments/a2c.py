"""Asynchronous Methods for Deep Reinforcement Learning (Mnih, Badia, Mirza, Graves, Lillicrap,
Harley, Silver, Kavukcuoglu, 2016), arXiv:1602.01783, in OpenAI Baselines' synchronous form (A2C).

Claim: many actors side by side make on-policy learning stable, without replay.

The actors step together and one update learns from all of them, where A3C's threads update shared
parameters whenever they are ready; so there is no delay between policy and gradient. Departures:
truncated episodes are bootstrapped from their last observation; the feed-forward agent alone, not
the recurrent one. Atari's emulators run inside the step, which the CPU platform alone can do.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax

from research import app, training
from research.core import Experiment, LearnerState
from research.core.legacy import OldExperiment
from research.models.actor_critic import ActorCritic
from research.report.claims import Claim, Paper
from research.rl.acting.rollouts import Actors, flattened
from research.rl.agents.a2c import A2C
from research.rl.agents.on_policy import SPLITS, evaluation, make_collector
from research.rl.envs import games

PAPER = Paper(
    title="Asynchronous Methods for Deep Reinforcement Learning",
    authors="Mnih et al.",
    year=2016,
    arxiv="1602.01783",
    claim="Parallel actors stabilise actor-critic learning without replay.",
    # With Breakout's 4 actions: the paper's network, and Baselines'.
    parameters={"2016": 677_429, "2015": 1_686_693},
    curves=("train/return",),
    x="frames",
)


@flax.struct.dataclass
class State:
    learner: LearnerState
    actors: Actors


def build(config: Any) -> Experiment:
    env = games.training_environment(config.env)
    collector = make_collector(config, env)
    frames = env.num_envs * config.agent.rollout_steps * env.frames_per_step
    num_steps = config.total_frames // frames
    a2c = A2C.make(config, network(config, env), num_steps)

    def init(key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        actors = collector.init(env_key)
        return State(a2c.init(net_key, actors.observation[:1]), actors)

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, learn_key = jax.random.split(key)
        actors = state.actors.replace(env=env.receive(state.actors.env, batch))
        actors, rollout, played = collector.play(
            actors, lambda observation: a2c.act(state.learner, observation), play_key
        )
        learned, metrics = a2c.learn(state.learner, flattened(rollout), learn_key)
        return State(learned, actors), {**metrics, **played}

    play = evaluation(config, a2c.policy, lambda state: a2c.eval_variables(state.learner))
    return OldExperiment(
        init,
        step,
        num_steps,
        games.emulators(env, lambda state: state.actors.env),
        evals={"eval": play},
        splits=SPLITS,
        per_step={"frames": frames},
    )


def network(config: Any, env: Any) -> ActorCritic:
    return ActorCritic(
        env.num_actions,
        env.action_size,
        config.model.variant,
        config.model.shared,
        config.compute_dtype,
    )


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    return numbers


def claims(results: Any) -> list[Claim]:
    if "parallel" not in results:  # a game alone
        return []
    runs = {arm: numbers["eval/return"] for arm, numbers in results.items()}
    shown = {k: f"{k} {v.mean():.0f} ({v.min():.0f} to {v.max():.0f})" for k, v in runs.items()}
    # Seeds 0 to 4: parallel 414 439 449 401 462, single 180 195 59 199 69.
    return [
        Claim(
            "CartPole: return >= 350 of 500",
            "not on this task",
            shown["parallel"],
            runs["parallel"].mean() >= 350,
        ),
        Claim(
            "sixteen actors, not one, at equal frames: return >= 2 x as high",
            "training is stabilised by parallel actors (section 4)",
            f"{shown['parallel']}, {shown['single']}",
            runs["parallel"].mean() >= 2 * runs["single"].mean(),
        ),
    ]


if __name__ == "__main__":
    app.run()
