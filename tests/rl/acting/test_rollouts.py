"""Rollouts: what is bootstrapped, cut, clipped and counted; minibatches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.acting.distributions import Categorical, DiagonalNormal
from research.rl.acting.rollouts import Collector, flatten, sweep
from research.rl.envs import gymnax_env, probe_envs
from research.rl.envs.environments import Vectorized

N, T, GAMMA = 2, 10, 0.5


def uniform(value):
    """A policy of two equal actions, with values of observations."""
    return lambda x: (Categorical(jnp.zeros((len(x), 2))), value(x))


def grey(x):
    return x.reshape(len(x), -1).mean(axis=1) / 255


def played(collector, policy, key=0):
    actors = collector.init(jax.random.key(0))
    return jax.jit(lambda a, k: collector.collect(a, policy, k))(actors, jax.random.key(key))


def test_truncation_is_bootstrapped_from_the_last_observation_of_its_episode():
    """Levels 0, 255, 255, 255 and then, unseen, 255; the next episode begins with 0. The value
    says 8 of 255 and 1 of 0: one-step returns tell what was bootstrapped from."""
    collector = Collector(probe_envs.make("probe_truncation", N), T, GAMMA, 0.0)
    _, rollout, metrics = played(collector, uniform(lambda x: 1 + 7 * grey(x)))
    seen = np.asarray(grey(rollout.observation[:, 0]))
    np.testing.assert_array_equal(seen, [0, 1, 1, 1] * 2 + [0, 1])
    reward = seen  # as the probe has it
    np.testing.assert_allclose(rollout.returns[:, 0], reward + GAMMA * 8)
    np.testing.assert_allclose(rollout.advantage, rollout.returns - rollout.value)
    assert metrics["train/return"] == 3


def test_nothing_follows_termination_and_no_advantage_crosses_it():
    collector = Collector(probe_envs.make("probe_two_step", N), T, 1.0, 1.0)
    _, rollout, metrics = played(collector, uniform(lambda x: 100 + 0 * grey(x)))
    np.testing.assert_allclose(rollout.returns, 1)  # of every step, with or without a step to go
    assert metrics["train/return"] == 1


def test_rollouts_go_on_where_the_last_one_stopped():
    collector = Collector(probe_envs.make("probe_truncation", N), 3, GAMMA, 0.0)
    actors = collector.init(jax.random.key(0))
    seen, returns = [], []
    for t in range(4):
        actors, rollout, metrics = collector.collect(actors, uniform(grey), jax.random.key(t))
        seen += list(grey(rollout.observation[:, 0]))
        returns.append(float(metrics["train/return"]))
    np.testing.assert_array_equal(seen, [0, 1, 1, 1] * 3)
    np.testing.assert_array_equal(returns, [np.nan, 3, 3, 3])


class Loses(probe_envs.Probe):
    """Loses a life in every step that ends no episode."""

    def step(self, key, env_state, action):
        *rest, terminated, truncated, info = super().step(key, env_state, action)
        return *rest, terminated, truncated, {**info, "life_lost": ~terminated}


@pytest.mark.parametrize("ends", [True, False])
def test_a_lost_life_ends_the_value_and_not_the_episode(ends):
    probe = Loses((0, 255), (0,), ((1, 1), (-1, -1)), ((1, 1), (5, 5)))
    collector = Collector(Vectorized(probe, N), 4, 1.0, 1.0, life_loss_ends=ends, reward_clip=2.0)
    actors, rollout, metrics = played(collector, uniform(grey))
    np.testing.assert_allclose(rollout.returns[:, 0], [1 if ends else 3, 2] * 2)
    assert metrics["train/return"] == 6  # in the game's own rewards, over both lives
    assert (actors.episode_return == 0).all()


def test_what_is_learned_from_is_what_acted():
    """Log probabilities and values of a rollout are those of its observations, normalised by the
    statistics from before it."""
    env = gymnax_env.make("Pendulum-v1", N)
    collector = Collector(env, 8, GAMMA, 0.9, normalize_observations=True, normalize_rewards=True)

    def policy(x):
        return DiagonalNormal(x[:, :1], 0.1 * x[:, 1:2]), x[:, 2]

    actors = collector.init(jax.random.key(0))
    for t in range(2):
        before = actors
        actors, rollout, _ = collector.collect(actors, policy, jax.random.key(t))
        flat = flatten(rollout)
        distribution, value = policy(flat.observation)
        np.testing.assert_allclose(distribution.log_prob(flat.action), flat.log_prob, rtol=1e-5)
        np.testing.assert_allclose(value, flat.value, rtol=1e-5)
        first = before.moments.normalize(before.observation)
        np.testing.assert_allclose(rollout.observation[0], first, rtol=1e-5)
    assert actors.moments.count == pytest.approx(2 * 8 * N, rel=1e-3)
    assert actors.reward_scale.moments.count == pytest.approx(2 * 8 * N, rel=1e-3)


def test_a_sweep_shows_every_step_once_an_epoch_in_new_orders():
    data = {"i": jnp.arange(12), "twice": 2 * jnp.arange(12)[:, None]}

    def update(carry, batch, key):
        seen, at = carry
        assert batch["i"].shape == (4,)
        bad = (batch["twice"][:, 0] != 2 * batch["i"]).sum()  # rows stay together
        seen = jax.lax.dynamic_update_slice(seen, batch["i"], (at,))
        return (seen, at + 4), {"bad": bad, "key": jax.random.uniform(key)}

    (seen, _), metrics = sweep(
        (jnp.zeros(36, jnp.int32), 0), data, jax.random.key(0), update, epochs=3, minibatches=3
    )
    epochs = seen.reshape(3, 12).tolist()
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] and metrics["bad"] == 0
