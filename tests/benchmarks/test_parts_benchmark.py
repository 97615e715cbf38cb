"""A training step against the sum of its parts: the bare environment and the bare network; and
eight seeds trained together against one.

Run with `python -m pytest tests/benchmarks/test_parts_benchmark.py -s`. CPU seconds are those of
all threads, so that what else the machine does counts little.
"""

from __future__ import annotations

import functools
import importlib
import time

import jax
import jax.numpy as jnp
import optax
import pytest

from experiments import dqn_atari, ppo
from research import app
from research.core import Aux, Learner
from research.rl.envs import games
from research.training.seeds import SeedBatch

PAIRS = 5
ENVS = 64


def script(name, variant=""):
    module = importlib.import_module(f"configs.{name}")
    return module.get_config(variant)


def repeated(advance, state, times):
    """A function that advances a state of its own so many times in one program."""

    @functools.partial(jax.jit, donate_argnums=0)
    def program(state, key):
        body = lambda i, state: advance(state, jax.random.fold_in(key, i))  # noqa: E731
        return jax.lax.fori_loop(0, times, body, state)

    held = [jax.jit(lambda state: jax.tree.map(jnp.copy, state))(state)]

    def run():
        held[0] = jax.block_until_ready(program(held[0], jax.random.key(1)))

    return run


def best_seconds(*runs, clock=time.process_time):
    """Of each, the least over interleaved repetitions, once all are compiled."""
    seconds = [float("inf")] * len(runs)
    for repetition in range(1 + PAIRS):
        for i, run in enumerate(runs):
            start = clock()
            run()
            if repetition:
                seconds[i] = min(seconds[i], clock() - start)
    return seconds


def trainer(experiment, times):
    state = jax.jit(experiment.init)(jax.random.key(0))
    return repeated(lambda state, key: experiment.step(state, {}, 0, key)[0], state, times)


def bare_environment(env, times):
    def advance(loop, key):
        act_key, env_key = jax.random.split(key)
        action = jax.random.randint(act_key, (env.num_envs,), 0, env.num_actions)
        observation, env_state, *_ = env.step(env_key, loop[0], action)
        return env_state, loop[1] + observation.sum(dtype=jnp.float32)

    state = jax.jit(env.reset)(jax.random.key(0))[1]
    return repeated(advance, (state, jnp.float32(0)), times)


def bare_network(
    network, optimizer, observation, *, acts, update_rows, looks, updates, times, **call
):
    """So many passes over all environments' observations, then so many updates on batches of
    `update_rows`, each after `looks` passes more over one; batches differ. The network is called
    with `call`."""
    learner = Learner(network, optimizer)
    rows = jnp.resize(observation, (update_rows, *observation.shape[1:]))

    def passed(learned, observation):
        return sum(x.sum() for x in jax.tree.leaves(learner.apply(learned, observation, **call)[0]))

    def loss_fn(variables, batch, key):
        outputs = jax.tree.leaves(learner.apply(variables, batch, **call)[0])
        return sum(jnp.square(x).mean() for x in outputs), Aux({})

    def advance(state, key):
        def act(i, total):  # what is seen depends on what was done, as in a game
            return total + 1e-9 * passed(state[0], observation + (total > 1e30))

        def update(i, state):
            learned, total = state
            batch = rows + (total > 1e30)  # a new one, or its first layer is prepared just once
            for look in range(looks):
                total += 1e-9 * passed(learned, batch + (total > look + 1e30))
            return learner.minimize(learned, loss_fn, batch, key)[0], total

        total = jax.lax.fori_loop(0, acts, act, state[1])
        return jax.lax.fori_loop(0, updates, update, (state[0], total))

    learned = learner.init(jax.random.key(0), observation[:1], **call)
    return repeated(advance, (learned, jnp.float32(0)), times)


def report(what, frames, seconds):
    ours, environment, network = seconds
    ratio = ours / (environment + network)
    print(
        f"\n{what}: {frames / ours:,.0f} frames per CPU second with training; environment alone "
        f"{frames / environment:,.0f}, network alone {frames / network:,.0f}; "
        f"{ratio:.2f} x the sum of both"
    )
    return ratio


def test_ppo():
    config = script("ppo", "minatar")
    agent, env = config.agent, games.training_environment(config.env)
    experiment = app.build(ppo, config)
    state = jax.jit(experiment.init)(jax.random.key(0))
    size = env.num_envs * agent.rollout_steps
    seconds = best_seconds(
        trainer(experiment, 1),
        bare_environment(env, agent.rollout_steps),
        bare_network(
            ppo.network(config, env),
            optax.adam(1e-4),
            state.actors.observation,
            acts=agent.rollout_steps + 1,
            update_rows=size // agent.minibatches,
            looks=0,
            updates=agent.epochs * agent.minibatches,
            times=1,
        ),
    )
    assert report("PPO, Breakout-MinAtar, 64 environments", size, seconds) < 1.5


def test_dqn():
    config = script("dqn_atari")
    config.env.num_envs, config.agent.agent_steps_per_update = ENVS, 16
    config.replay.learning_starts_frames = 0
    env, steps = games.training_environment(games.Settings(**config.env)), 300
    experiment = app.build(dqn_atari, config)
    state = jax.jit(experiment.init)(jax.random.key(0))
    seconds = best_seconds(
        trainer(experiment, steps),
        bare_environment(env, steps),
        bare_network(
            experiment.learner.model,
            experiment.learner.tx,
            state.observation,
            acts=1,
            update_rows=config.agent.batch_size,
            looks=1,
            updates=ENVS // config.agent.agent_steps_per_update,
            times=steps,
            train=True,
        ),
    )
    assert report("DQN, Breakout-MinAtar, 64 environments", ENVS * steps, seconds) < 1.5


@pytest.mark.parametrize("name", ["a2c", "ppo", "ddpg", "her"])
def test_eight_seeds_together(name):
    config = script(name)
    if name == "ddpg":
        config.replay.learning_starts_frames = config.agent.batch_size
    experiment = app.build(importlib.import_module(f"experiments.{name}"), config)
    steps = 20 if name == "ppo" else 200
    joint = SeedBatch(experiment, tuple(range(8)))
    runs = trainer(experiment, steps), trainer(joint, steps)
    one, eight = best_seconds(*runs)
    wall_one, wall_eight = best_seconds(*runs, clock=time.perf_counter)
    print(
        f"\n{name}: eight seeds together take {eight / one:.1f} x the CPU time of one, "
        f"{wall_eight / wall_one:.1f} x its wall time"
    )
    assert eight < 12 * one
