"""Environment frames per CPU second of DQN with training, in pairs with the bare environment.

Run with `python -m pytest tests/benchmarks/test_dqn_benchmark.py -s`. CPU seconds are those of all
threads, so that what else the machine does counts little.
"""

from __future__ import annotations

import functools
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest

from configs.dqn_atari import get_config
from experiments import dqn_atari
from research import app
from research.rl.envs import games

PAIRS = 3


def cpu_seconds(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def trainer(config, steps):
    """A function that trains for so many steps, after it has compiled and learning has begun."""
    experiment = app.build(dqn_atari, config)

    @functools.partial(jax.jit, donate_argnums=0)
    def advance(state, batch):
        def body(i, state):
            return experiment.step(state, batch, i, jax.random.fold_in(jax.random.key(1), i))[0]

        return jax.lax.fori_loop(0, steps, body, state)

    held = [jax.jit(experiment.init)(jax.random.key(0))]

    def run():
        batch = experiment.source(held[0]) if experiment.source else None
        held[0] = jax.block_until_ready(advance(held[0], batch))

    run()
    return run, steps * experiment.per_step["frames"]


def bare(config, steps):
    """The same environment with random actions and nothing else."""
    env = games.training_environment(games.Settings(**config.env))

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


class PlainQ(nn.Module):
    """MinAtar's network out of flax's own layers."""

    actions: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(16, (3, 3), padding="VALID")(x))
        x = nn.relu(nn.Dense(128)(x.reshape(len(x), -1)))
        return nn.Dense(self.actions)(x)


def plain(config, steps):
    """DQN in one file as one would write it: whole transitions as float32 in one buffer, flax's
    convolution inside the loop, Adam."""
    env, agent = games.training_environment(games.Settings(**config.env)), config.agent
    size, batch = config.replay.capacity, agent.batch_size
    net, optimizer = PlainQ(env.num_actions), optax.adam(1e-4)

    def init(key):
        observation, env_state = env.reset(key)
        params = net.init(key, observation.astype(jnp.float32))
        blank = jnp.zeros((size, *observation.shape[1:]))
        buffer = {
            "x": blank,
            "y": blank,
            "a": jnp.zeros(size, jnp.int32),
            "r": jnp.zeros(size),
            "over": jnp.zeros(size, bool),
        }
        return params, params, optimizer.init(params), env_state, observation, buffer, 0

    def step(i, loop):
        params, target, moments, env_state, observation, buffer, at = loop
        act_key, explore_key, env_key, draw_key = jax.random.split(
            jax.random.fold_in(jax.random.key(1), i), 4
        )
        x = observation / 255.0
        greedy = net.apply(params, x).argmax(axis=1)
        random = jax.random.randint(act_key, greedy.shape, 0, env.num_actions)
        action = jnp.where(jax.random.uniform(explore_key, greedy.shape) < 0.1, random, greedy)
        observation, env_state, reward, over, _, info = env.step(env_key, env_state, action)
        new = {
            "x": x,
            "y": info["final_observation"] / 255.0,
            "a": action,
            "r": reward,
            "over": over,
        }
        buffer = jax.tree.map(
            lambda b, n: jax.lax.dynamic_update_slice_in_dim(b, n.astype(b.dtype), at, 0),
            buffer,
            new,
        )
        at = (at + env.num_envs) % (size // env.num_envs * env.num_envs)

        rows = jax.random.randint(draw_key, (batch,), 0, size)
        drawn = jax.tree.map(lambda b: b[rows], buffer)
        following = net.apply(target, drawn["y"]).max(axis=1)
        goal = drawn["r"] + 0.99 * jnp.where(drawn["over"], 0, following)

        def loss(params):
            q = jnp.take_along_axis(net.apply(params, drawn["x"]), drawn["a"][:, None], 1)[:, 0]
            return optax.huber_loss(q, goal).mean()

        updates, moments = optimizer.update(jax.grad(loss)(params), moments)
        params = optax.apply_updates(params, updates)
        target = optax.periodic_update(params, target, i, 200)
        return params, target, moments, env_state, observation, buffer, at

    advance = jax.jit(lambda state: jax.lax.fori_loop(0, steps, step, state), donate_argnums=0)
    held = [jax.tree.map(jnp.copy, jax.jit(init)(jax.random.key(0)))]

    def run():
        held[0] = jax.block_until_ready(advance(held[0]))

    run()
    return run, steps * env.num_envs


@pytest.mark.parametrize("num_envs", [1, 10, 64])
def test_single_file_at_its_usual_settings(num_envs):
    """A batch of 128 from a replay of 100,000 for every step of all environments."""
    config = get_config()
    config.env.num_envs = config.agent.agent_steps_per_update = num_envs
    config.agent.batch_size = 128
    config.replay.learning_starts_frames = 0
    (ours, frames), (theirs, _) = trainer(config, 100), plain(config, 100)
    seconds = [(cpu_seconds(ours), cpu_seconds(theirs)) for _ in range(PAIRS)]
    us, them = map(min, zip(*seconds, strict=True))
    print(
        f"\nDQN, {num_envs} environments, batch 128: {frames / us:,.0f} frames per CPU second, "
        f"one plain file {frames / them:,.0f}: {them / us:.2f} x as fast"
    )
    assert us < 1.2 * them


def test_minatar():
    config = get_config()
    config.env.num_envs = 64
    config.agent.agent_steps_per_update = 16
    config.replay.learning_starts_frames = 0
    ours, limit = measured(config, steps=300, raw_steps=3000)
    print(
        f"\nBreakout-MinAtar, 64 environments, batch 32 per 16 steps: {ours:,.0f} frames per CPU "
        f"second, bare environment {limit:,.0f}, ratio {limit / ours:.1f}"
    )
    assert ours > 15_000


@pytest.mark.parametrize("network", ["2015", "2013"])
def test_pong_at_the_usual_settings(network):
    """Batch 32, an update every 4 agent steps, where single-file scripts make 32 steps a second."""
    config = get_config("pong")
    config.model.variant = network
    config.replay.update(learning_starts_frames=0, capacity=10_000)
    config.agent.update(n_steps=1, double=False)
    ours, limit = measured(config, steps=20, raw_steps=100)
    print(
        f"\nPong, {network} network: {ours / 4:,.0f} agent steps per CPU second, "
        f"bare environment {limit / 4:,.0f}, ratio {limit / ours:.1f}"
    )
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
