"""Updates of distributed PPO against the paper's formulas in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.locomotion_ppo import get_config
from experiments import locomotion_ppo
from research import app
from research.rl.acting.rollouts import flatten
from tests.rl import reference
from tests.rl.trajectories import nobody, trajectory

T, N, K, EPOCHS, TARGET = 8, 5, 4, 2, 0.3


def build():
    config = get_config("smoke")
    config.update_from_flattened_dict(
        {
            "env.name": "probe_continuous_both",
            "env.num_envs": N,
            "env.normalize_observations": False,
            "env.normalize_rewards": False,
            "agent.rollout_steps": T,
            "agent.return_steps": K,
            "agent.gamma": 0.9,
            "agent.epochs": EPOCHS,
            "agent.minibatches": 2,
            "agent.kl_penalty": 0.5,
            "agent.kl_target": TARGET,
            "agent.limit_weight": 2.0,
            "agent.value_weight": 0.7,
            "optimizer.learning_rate": 0.05,
            "max_grad_norm": 1.0,
            "total_frames": N * T * 4,
        }
    )
    experiment = app.build(locomotion_ppo, config)
    network = reference.Linear("both", actions=2, continuous=True)
    experiment.learner = dataclasses.replace(experiment.learner, model=network)
    return experiment


def windows(x):
    """`[T, ...]` as windows of K steps."""
    return np.split(x, T // K)


def objective(w, rows, coefficient):
    """-J_PPO + w L_BL (algorithm 2), policy and value in one step."""
    mean, value = rows["x"] @ w["policy"], (rows["x"] @ w["value"])[:, 0]
    old = rows["mean"], rows["log_std"]
    log_ratio = reference.normal_log_density(mean, w["log_std"], rows["action"])
    ratio = np.exp(log_ratio - reference.normal_log_density(*old, rows["action"]))
    advantage = rows["advantage"]
    advantage = (advantage - advantage.mean()) / advantage.std()
    kl = reference.normal_kl(*old, mean, w["log_std"]).mean()
    assert kl > 2 * TARGET  # else the limit would not be seen
    policy_loss = -(ratio * advantage).mean() + coefficient * kl
    policy_loss += 2.0 * max(0, kl - 2 * TARGET) ** 2
    return policy_loss + 0.7 * ((value - rows["returns"]) ** 2).mean()


def test_the_updates_on_a_rollout_are_the_papers():
    experiment = build()
    first = experiment.learner.init(jax.random.key(0), jnp.zeros((1, 3)))
    state = locomotion_ppo.State(first, None, jnp.float32(0.5))
    played = trajectory(T, N, 3, 2, continuous=True)
    rollout = flatten(experiment.collector.estimate(nobody(), played)[1])
    key = jax.random.key(1)
    after, metrics = jax.jit(experiment.update)(state, rollout, 0, key)

    played = jax.tree.map(np.asarray, played)
    parts = (played.reward, played.next_value, played.terminated, played.done)
    returns = np.concatenate(
        [
            reference.lambda_returns(*window, 0.9, 1.0)
            for window in zip(*map(windows, parts), strict=True)
        ]
    )
    rows = {
        "x": played.observation,
        "action": played.action,
        "mean": played.policy.mean,
        "log_std": played.policy.log_std,
        "returns": returns,
        "advantage": returns - played.value,
    }
    rows = {name: x.reshape(T * N, *x.shape[2:]).astype(float) for name, x in rows.items()}
    params, adam = reference.as_float64(first.params), reference.Adam(0.05, 1e-5)
    rates = 0.05 * (1 - np.arange(4) / (4 * EPOCHS * 2))  # to 0 over the updates of 4 rollouts
    for epoch in jax.random.split(key, EPOCHS):
        order = jax.random.permutation(jax.random.split(epoch)[0], T * N)
        for part in np.asarray(order).reshape(2, -1):
            batch = {name: x[part] for name, x in rows.items()}
            grads = reference.gradient(lambda w, b=batch: objective(w, b, 0.5), params)
            adam.rate = rates[adam.t]
            params = adam(params, reference.clipped(grads, 1.0))
    reference.same(after.learner.params, params, rtol=1e-3, atol=1e-4)
    mean = rows["x"] @ params["policy"]
    kl = reference.normal_kl(rows["mean"], rows["log_std"], mean, params["log_std"]).mean()
    np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-3)
    assert kl > 1.5 * TARGET
    assert float(after.kl_coefficient) == pytest.approx(0.5 * 1.5)  # it moved too far
