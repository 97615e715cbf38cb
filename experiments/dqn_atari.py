"""Human-level control through deep reinforcement learning (Mnih et al., Nature 518, 2015), and
Playing Atari with Deep Reinforcement Learning (Mnih et al., 2013), arXiv:1312.5602.

Claim: experience replay makes Q-learning with a network work, with a separate target network.

Extensions as values of the config: double Q (van Hasselt 2015, 1509.06461), dueling (Wang 2015,
1511.06581), prioritized replay (Schaul 2015, 1511.05952), n-step returns, Adam, sticky actions.
Departures: in 2013's variant too frames are resized (that paper crops) and are the maximum of two,
and 4 repeats hold in Space Invaders (3); N environments may be stepped together (`env.num_envs`).
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState
from research.core.legacy import OldExperiment
from research.models.dqn import DQN
from research.optim.centered_rmsprop import make_optimizer
from research.report.claims import Claim, Paper
from research.rl.acting.actor import Actors, apply_action
from research.rl.acting.episodes import Evaluation
from research.rl.agents.q_learning import epsilon_greedy, greedy_policy, of_action
from research.rl.envs import games
from research.rl.replay.frames import Replay, ReplayState
from research.rl.replay.prioritized import make_sampler

PAPER = Paper(
    title="Human-level control through deep reinforcement learning",
    authors="Mnih et al.",
    year=2015,
    arxiv="1312.5602",
    claim="Experience replay, with a target network, makes deep Q-learning work.",
    parameters={"2013": 677_172, "2015": 1_686_180},  # with Breakout's 4 actions
    curves=("train/return",),
    x="frames",
)


@flax.struct.dataclass
class State:
    """N environments, their experience, and what has learned from it."""

    learner: LearnerState
    target: Any  # parameters
    actors: Actors
    replay: ReplayState
    priorities: Any
    agent_steps: jax.Array  # of all environments together
    updates: jax.Array
    last: dict[str, jax.Array]  # metrics of the last update


def build(config: Any) -> Experiment:
    agent, memory = config.agent, config.replay
    env = games.training_games(games.Settings(**config.env))
    frame = env.env.observation_space.shape
    replay = Replay(env.num_envs, memory.capacity, frame, env.depth, agent.n_steps, agent.gamma)
    sampler = make_sampler(memory.sampling, replay, memory.priority_exponent)
    learner = Learner(
        network(config, env),
        make_optimizer(config.optimizer, agent.batch_size),
        max_grad_norm=config.max_grad_norm,
        ema_decay=config.ema_decay,
    )

    def values(params: Any, observation: jax.Array) -> jax.Array:
        return learner.apply({"params": params}, observation, train=False)[0]

    def init(key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        actors = Actors.start(env, env_key)
        learned = learner.init(net_key, actors.observation[:1], train=True)
        count, last = jnp.int32(0), {name: jnp.zeros(()) for name in ("loss", "grad_norm", "q")}
        return State(
            learned,
            jax.tree.map(jnp.copy, learned.params),
            actors,
            replay.init(),
            sampler.init(),
            count,
            count,
            last,
        )

    exploration = optax.linear_schedule(
        1.0, agent.epsilon_end, agent.epsilon_decay_frames, memory.learning_starts_frames
    )

    def epsilon(state: State) -> jax.Array:
        return exploration(state.agent_steps * env.frames_per_step)

    def act(state: State, key: jax.Array) -> jax.Array:
        return epsilon_greedy(
            key, values(state.learner.params, state.actors.observation), epsilon(state)
        )

    source = games.source(env, act, config.seed)

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        act_key, env_key, learn_key = jax.random.split(key, 3)
        action = batch["action"] if config.env.actor == "host" else act(state, act_key)
        actors, now = apply_action(
            env,
            state.actors,
            action,
            env_key,
            reward_clip=config.env.reward_clip,
            life_loss_ends=config.env.life_loss_ends,
            batch=batch,
        )
        experience = replay.add(
            state.replay,
            now.observation[..., -frame[-1] :],
            action,
            now.reward,
            now.terminated,
            now.reset,
            now.next_observation[..., -frame[-1] :],
        )
        state = learn(
            state.replace(
                actors=actors,
                replay=experience,
                priorities=sampler.added(state.priorities, state.replay),
                agent_steps=state.agent_steps + env.num_envs,
            ),
            learn_key,
        )
        mean_return = jnp.nanmean(now.episode_return)  # NaN where none ended
        return state, {"train/return": mean_return, "epsilon": epsilon(state), **state.last}

    def learn(state: State, key: jax.Array) -> State:
        now, period = state.agent_steps, agent.agent_steps_per_update
        started = now * env.frames_per_step >= memory.learning_starts_frames
        due = jnp.where(started, now // period - (now - env.num_envs) // period, 0)
        progress = now * env.frames_per_step / config.total_frames
        beta = memory.importance_exponent_start * (1 - progress) + progress

        def update(i: jax.Array, loop: tuple[Any, ...]) -> tuple[Any, ...]:
            learned, target, priorities, updates, _ = loop
            sample_key, loss_key = jax.random.split(jax.random.fold_in(key, i))
            batch = sampler.sample(priorities, state.replay, sample_key, agent.batch_size, beta)
            following = values(target, batch.next_observation)
            judge = values(learned.params, batch.next_observation) if agent.double else following
            goal = batch.reward + batch.discount * of_action(following, judge.argmax(axis=1))

            def loss_fn(variables: Any, batch: Any, key: jax.Array) -> Any:
                q = learner.apply(variables, batch.observation, train=True)[0]
                q = of_action(q, batch.action)
                # The derivative of this loss is the TD error clipped to [-1, 1].
                loss = jnp.mean(batch.weight * optax.huber_loss(q, goal, delta=1.0))
                return loss, Aux({"q": q.mean(), "td_error": goal - q})

            learned, metrics = learner.minimize(learned, loss_fn, batch, loss_key)
            priorities = sampler.update(priorities, batch.slot, metrics.pop("td_error"))
            target = optax.periodic_update(
                learned.params, target, updates + 1, agent.target_period_updates
            )
            return learned, target, priorities, updates + 1, metrics

        names = ("learner", "target", "priorities", "updates", "last")
        loop = jax.lax.fori_loop(0, due, update, tuple(getattr(state, name) for name in names))
        return state.replace(**dict(zip(names, loop, strict=True)))

    split = ("^(actors|replay)/", PartitionSpec("data"))
    frames = env.num_envs * env.frames_per_step
    return OldExperiment(
        init,
        step,
        config.total_frames // frames,
        source,
        evals={"eval": evaluation(config, config.eval.epsilon)},
        splits=[split],
        per_step={"frames": frames},
    )


def evaluation(config: Any, epsilon: float) -> Any:
    """Whole episodes of their own, whatever the lives, with rewards as the game gives them."""
    env = games.evaluation_games(
        games.Settings(**config.env),
        config.eval.episodes,
        max_noops=config.eval.max_noops,
        max_episode_frames=config.eval.max_episode_frames,
    )
    play = Evaluation(env, greedy_policy(network(config, env), epsilon))
    return lambda state, key: play(state.learner.eval_params, key)


def network(config: Any, env: Any) -> DQN:
    return DQN(env.num_actions, config.model.variant, config.model.dueling, config.compute_dtype)


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    random = evaluation(config, epsilon=1.0)(state, jax.random.key(config.seed))
    return {**numbers, "random/return": random["return"]}


def claims(results: Any) -> list[Claim]:
    if "full" not in results:  # one game, nothing compared
        return []
    random = {"random": results["full"]["random/return"]}
    runs = {arm: numbers["eval/return"] for arm, numbers in results.items()} | random
    shown = {k: f"{k} {v.mean():.2f} ({v.min():.2f} to {v.max():.2f})" for k, v in runs.items()}
    # Six seeds: full 8.1 8.3 13.1 10.9 13.6 11.7, no_replay 6.5 7.2 7.9 6.9 7.1 6.6, neither 6.5
    # 3.2 5.6 7.8 6.5 6.6, random 0.4. No_target, 8.2 13.3 11.0 8.0 9.5 14.1, overlaps with full.
    rows = [
        ("replay", "Breakout 316.8, 10.2 without", 1.1, "no_replay", 1),
        ("replay and target network", "Breakout 316.8, 3.2 without", 1.1, "neither", 1),
        ("a target network", "Breakout 316.8, 240.7 without", 1.0, "no_target", 3),
        ("a trained agent", "Breakout 401.2, random policy 1.7", 5.0, "random", 1),
    ]
    return [
        Claim(
            f"{what}: return >= {factor} x that without",
            paper,
            f"{shown['full']}, {shown[arm]}",
            runs["full"].mean() >= factor * runs[arm].mean() if len(runs[arm]) >= seeds else None,
        )
        for what, paper, factor, arm, seeds in rows
    ]


if __name__ == "__main__":
    app.run()
