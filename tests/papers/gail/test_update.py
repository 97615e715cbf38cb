"""The adversary's steps and its rewards against the paper's formulas in NumPy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.gail import get_config
from experiments import gail
from research import app
from research.core import Learner
from research.rl.demonstrations import Demonstrations
from tests.rl import reference
from tests.rl.trajectories import trajectory

T, N, LAMBDA = 5, 4, 0.3


class Linear(nn.Module):
    """In place of `PairDiscriminator`: a product of what is seen and done."""

    @nn.compact
    def __call__(self, x, action):
        w = self.param("w", nn.initializers.normal(1.0), (x.shape[1] + action.shape[1],))
        return jnp.concatenate([x, action], axis=1) @ w, {}


def build(reward="-log D"):
    config = get_config("smoke")
    config.gail.update(reward=reward, entropy_weight=LAMBDA, updates=3)
    experiment = app.build(gail, config)
    experiment.discriminator = Learner(Linear(), optax.adam(0.05))
    played = trajectory(T, N, 3, 1, continuous=True)
    state = experiment.discriminator.init(jax.random.key(0), jnp.zeros((1, 3)), jnp.zeros((1, 1)))
    return experiment, played, state


def pairs_of(x):
    both = np.concatenate([np.asarray(x.observation), np.asarray(x.action)], axis=-1)
    return both.reshape(-1, 4).astype(float)


def log_density(policy, action):
    mean, log_std = (np.asarray(x, float) for x in (policy.mean, policy.log_std))
    scaled = (np.asarray(action) - mean) / np.exp(log_std)
    return -(scaled**2 / 2 + log_std + np.log(2 * np.pi) / 2).sum(axis=-1)


@pytest.mark.parametrize("kind", gail.REWARDS)
def test_rewards_are_the_adversarys_with_the_causal_entropy(kind):
    """-log D, or log(1 - D), less lambda log pi (equation 18), and nothing of the task's."""
    experiment, played, state = build(kind)
    new = jax.jit(experiment.replace_rewards)(state, played)
    d = 1 / (1 + np.exp(-pairs_of(played) @ np.asarray(state.params["w"], float)))
    cost = -np.log(d) if kind == "-log D" else np.log(1 - d)
    expected = cost.reshape(T, N) - LAMBDA * log_density(played.policy, played.action)
    np.testing.assert_allclose(new.reward, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(new.done, played.done)


def test_the_adversary_takes_its_steps_on_all_pairs():
    """-E_pi[log D] - E_expert[log(1 - D)] (equation 17), of pairs of the expert that are there."""
    experiment, played, state = build()
    seen = trajectory(2, 7, 3, 1, continuous=True, seed=1)
    present = jnp.arange(7) < jnp.array([5, 3])[:, None]
    expert = Demonstrations(seen.observation, seen.action, present)
    after, _ = jax.jit(experiment.update_discriminator)(state, played, expert, jax.random.key(1))
    ours, theirs = pairs_of(played), pairs_of(expert)[np.asarray(present).ravel()]

    def loss(params):
        d, d_expert = (1 / (1 + np.exp(-x @ params["w"])) for x in (ours, theirs))
        return -np.log(d).mean() - np.log(1 - d_expert).mean()

    params, adam = reference.as_float64(state.params), reference.Adam(0.05, 1e-8)
    for _ in range(3):
        params = adam(params, reference.gradient(loss, params))
    reference.same(after.params, params)


def test_cloning_is_the_likelihood_of_the_experts_actions():
    config = get_config("smoke")
    config.method = "cloning"
    experiment = app.build(gail, config)
    experiment.learner = Learner(reference.Linear("policy", 1, True), optax.adam(1e-3))
    seen = trajectory(9, 3, 3, 1, continuous=True)
    batch = Demonstrations(seen.observation[:, 0], seen.action[:, 0], jnp.ones(9, bool))
    learner = experiment.learner.init(jax.random.key(0), batch.observation)
    loss, _ = experiment.loss({"params": learner.params}, batch, None)
    mean = np.asarray(batch.observation) @ np.asarray(learner.params["policy"])
    z = (np.asarray(batch.action) - mean) / np.exp(-0.3)
    np.testing.assert_allclose(
        loss, (z**2 / 2 - 0.3 + np.log(2 * np.pi) / 2).sum(axis=1).mean(), rtol=1e-4
    )
