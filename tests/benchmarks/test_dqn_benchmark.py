"""Environment frames per CPU second of DQN with training, in pairs with the bare environment.

Run with `python -m pytest tests/benchmarks/test_dqn_benchmark.py -s`. CPU seconds are those of all
threads, so that what else the machine does counts little.
"""

from __future__ import annotations

import functools
import time

import jax
import jax.numpy as jnp
import pytest

from configs.dqn_atari import get_config
from experiments import dqn_atari
from research.rl import games

PAIRS = 3


def cpu_seconds(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def trainer(config, steps):
    """A function that trains for so many steps, after it has compiled and learning has begun."""
    experiment = dqn_atari.build(config)

    @functools.partial(jax.jit, donate_argnums=0)
    def advance(state, batch):
        def body(i, state):
            return experiment.step(state, batch, jax.random.fold_in(jax.random.key(1), i))[0]

        return jax.lax.fori_loop(0, steps, body, state)

    held = [jax.jit(experiment.init)(jax.random.key(0))]

    def run():
        batch = experiment.source(held[0]) if experiment.source else None
        held[0] = jax.block_until_ready(advance(held[0], batch))

    run()
    return run, steps * experiment.per_step["frames"]


def bare(config, steps):
    """The same environment with random actions and nothing else."""
    env = games.training_games(config.env)

    @jax.jit
    def advance(env_state, key):
        def body(i, loop):
            env_state, _ = loop
            act_key, env_key = jax.random.split(jax.random.fold_in(key, i))
            action = jax.random.randint(act_key, (env.num_envs,), 0, env.num_actions)
            observation, env_state, *_ = env.step(env_key, env_state, action)
            return env_state, observation.sum()

        return jax.lax.fori_loop(0, steps, body, (env_state, jnp.uint32(0)))

    env_state = jax.jit(env.reset)(jax.random.key(0))[1]
    return lambda: jax.block_until_ready(advance(env_state, jax.random.key(1)))


def measured(config, steps, raw_steps):
    train, frames = trainer(config, steps)
    raw = bare(config, raw_steps)
    raw()
    ours, limit = 0.0, 0.0
    for _ in range(PAIRS):
        ours = max(ours, frames / cpu_seconds(train))
        limit = max(limit, frames / steps * raw_steps / cpu_seconds(raw))
    return ours, limit


def test_minatar():
    config = get_config()
    config.env.num_envs = 64
    config.agent.agent_steps_per_update = 16
    config.replay.learning_starts_frames = 0
    ours, limit = measured(config, steps=300, raw_steps=3000)
    print(f"\nBreakout-MinAtar, 64 environments, batch 32 per 16 steps: {ours:,.0f} frames per CPU "
          f"second, bare environment {limit:,.0f}, ratio {limit / ours:.1f}")
    assert ours > 15_000


@pytest.mark.parametrize("network", ["2015", "2013"])
def test_pong_at_the_usual_settings(network):
    """Batch 32, an update every 4 agent steps, where single-file scripts make 32 steps a second."""
    config = get_config("pong")
    config.model.variant = network
    config.replay.update(learning_starts_frames=0, capacity=10_000)
    config.agent.update(n_steps=1, double=False)
    ours, limit = measured(config, steps=20, raw_steps=100)
    print(f"\nPong, {network} network: {ours / 4:,.0f} agent steps per CPU second, "
          f"bare environment {limit / 4:,.0f}, ratio {limit / ours:.1f}")
    assert ours / 4 > 4 * 32


def test_a_step_takes_as_long_whatever_the_replay_holds():
    times = {}
    for capacity in (10_000, 100_000, 1_000_000):
        config = get_config()
        config.env.num_envs = 64
        config.agent.agent_steps_per_update = 16
        config.replay.update(learning_starts_frames=0, capacity=capacity)
        run, _ = trainer(config, 200)
        times[capacity] = min(cpu_seconds(run) for _ in range(PAIRS)) / 200
    print("\n" + ", ".join(f"{c:,}: {1e3 * t:.2f} ms" for c, t in times.items()))
    assert times[1_000_000] < 1.5 * times[10_000]
