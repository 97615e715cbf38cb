"""The script's own step against the paper's formula: as `tests/rl/agents/test_trpo.py`."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.trpo import get_config
from experiments import trpo
from research import app
from research.rl.acting.rollouts import flatten
from tests.rl import reference
from tests.rl.trajectories import nobody, trajectory

T, N = 6, 5


@pytest.mark.parametrize("scale", [0.3, 8.0])
def test_an_update_is_the_papers(scale):
    config = get_config("smoke")
    config.update_from_flattened_dict(
        {
            "env.name": "CartPole-v1",
            "env.num_envs": N,
            "env.normalize_observations": False,
            "env.normalize_rewards": False,
            "agent.rollout_steps": T,
            "agent.gamma": 0.9,
            "agent.gae_lambda": 0.8,
            "agent.cg_iterations": 20,
            "agent.value_epochs": 1,
            "agent.value_minibatches": 1,
        }
    )
    experiment = app.build(trpo, config)
    experiment.actor = reference.Linear("policy", actions=2)
    experiment.critic = dataclasses.replace(experiment.critic, model=reference.Linear("value"))
    seen = jnp.zeros((1, 4))
    policy = {"params": experiment.actor.init(jax.random.key(0), seen)["params"]}
    value = experiment.critic.init(jax.random.key(1), seen)
    state = trpo.State(policy, value, None, trpo.Record.empty())

    played = trajectory(T, N, 4, 2)
    # Of every second state the Fisher matrix knows nothing: there the policy moves farther.
    scales = jnp.where(jnp.arange(T * N) % 2, scale, 1.0).reshape(T, N, 1)
    played = played._replace(observation=scales * played.observation)
    acted = experiment.policy(policy, flatten(played).observation)
    played = played._replace(policy=jax.tree.map(lambda x: x.reshape(T, N, -1), acted))
    rollout = flatten(experiment.collector.estimate(nobody(), played)[1])
    after, metrics = jax.jit(experiment.update)(state, rollout, 0, jax.random.key(2))

    played = jax.tree.map(lambda x: np.asarray(x).astype(float), played)
    returns = reference.lambda_returns(
        played.reward, played.next_value, played.terminated, played.done, 0.9, 0.8
    ).ravel()
    x, action = played.observation.reshape(-1, 4), played.action.ravel().astype(int)
    advantage = returns - played.value.ravel()
    advantage = (advantage - advantage.mean()) / advantage.std()
    w = np.asarray(policy["params"]["policy"], np.float64)
    old = reference.log_softmax(x @ w)

    def surrogate(w):
        ratio = np.exp(reference.taken(reference.log_softmax(x @ w) - old, action))
        return (ratio * advantage).mean()

    def divergence(w):
        return reference.kl(old, x @ w).mean()

    matrix = reference.fisher(x[::2], x[::2] @ w) + 0.1 * np.eye(w.size)
    expected, fraction = reference.trust_region_step(
        w, surrogate, divergence, matrix, limit=0.01, backtracks=10
    )
    assert (fraction == 1) == (scale < 1) and fraction > 0
    assert float(metrics["step_fraction"]) == fraction
    np.testing.assert_allclose(after.policy["params"]["policy"], expected, rtol=5e-3, atol=1e-3)
    np.testing.assert_allclose(metrics["kl"], divergence(expected), rtol=2e-2)
    np.testing.assert_allclose(after.record.kl, metrics["kl"])

    grads = reference.gradient(
        lambda w: (((x @ w["value"])[:, 0] - returns) ** 2).mean(),
        reference.as_float64(value.params),
    )
    adam = reference.Adam(config.optimizer.learning_rate, 1e-5)
    reference.same(after.value.params, adam(reference.as_float64(value.params), grads))
