"""Environment frames per CPU second of the planar walker: bare, and with training.

Run with `python -m pytest tests/benchmarks/test_locomotion_benchmark.py -s`. CPU seconds are those
of all threads, so that what else the machine does counts little.
"""

from __future__ import annotations

import time

import jax
import pytest

from configs.locomotion_ppo import get_config
from experiments import locomotion_ppo
from research import app
from research.papers.locomotion_ppo import bodies

ROUNDS = 5


def bare(config):
    """Random torques and nothing else: a function that plays 400 steps, and their frames."""
    env = bodies.training_environment(config.env, config.terrain)

    @jax.jit
    def advance(env_state, key):
        def body(env_state, key):
            act_key, env_key = jax.random.split(key)
            action = jax.random.normal(act_key, (env.num_envs, env.action_size))
            _, env_state, reward, *_ = env.step(env_key, env_state, action)
            return env_state, reward

        return jax.lax.scan(body, env_state, jax.random.split(key, 400))

    held = [env.reset(jax.random.key(0))[1]]

    def run():
        held[0] = jax.block_until_ready(advance(held[0], jax.random.key(1)))[0]

    return run, 400 * env.num_envs


def trainer(config):
    """A function that trains for ten steps, and their frames."""
    experiment = app.build(locomotion_ppo, config)
    step = jax.jit(experiment.step, donate_argnums=0)
    held = [jax.jit(experiment.init)(jax.random.key(0))]

    def run():
        for t in range(10):
            held[0] = jax.block_until_ready(step(held[0], None, jax.random.key(t))[0])

    return run, 10 * experiment.per_step["frames"]


@pytest.mark.parametrize("what", [bare, trainer], ids=["bare", "with training"])
def test_frames_per_cpu_second(what):
    run, frames = what(get_config())
    start = time.process_time()
    run()
    compiled = time.process_time() - start
    rates = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        rates.append(frames / (time.process_time() - start))
    print(
        f"\n{what.__name__}: {sorted(rates)[ROUNDS // 2]:,.0f} frames per CPU second "
        f"({min(rates):,.0f} to {max(rates):,.0f}); first call {compiled:.1f} s"
    )
