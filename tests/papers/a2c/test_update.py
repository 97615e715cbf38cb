"""Updates of A2C against the paper's formula in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.a2c import get_config
from experiments import a2c
from research import app
from research.rl.acting.rollouts import flatten
from research.rl.agents.on_policy import OnPolicyState
from tests.rl import reference
from tests.rl.trajectories import nobody, trajectory

T, N = 6, 4


@pytest.mark.parametrize(("lambda_", "start"), [(1.0, 1.0), (0.8, 0.0)])
def test_two_updates_are_the_papers(lambda_, start):
    """Supplement S3: grad log pi(a|s) (R - V), the squared error of V, the entropy; clipped by its
    norm, then RMSProp, at a rate that falls to 0."""
    config = get_config("smoke")
    config.update_from_flattened_dict(
        {
            "env.normalize_observations": False,
            "env.num_envs": N,
            "agent.rollout_steps": T,
            "agent.gamma": 0.9,
            "agent.gae_lambda": lambda_,
            "agent.value_weight": 0.7,
            "agent.entropy_weight": 0.3,
            "optimizer.rmsprop_initial_scale": start,
            "optimizer.learning_rate": 0.02,
            "max_grad_norm": 1.5,
            "total_frames": N * T * 4,
        }
    )
    experiment = app.build(a2c, config)
    network = reference.Linear("both", actions=2)
    experiment.learner = dataclasses.replace(experiment.learner, model=network)
    learner = experiment.learner.init(jax.random.key(0), jnp.zeros((1, 4)))
    state, update = OnPolicyState(learner, None), jax.jit(experiment.update)
    params = reference.as_float64(learner.params)
    rmsprop = reference.RMSProp(0.02, 0.99, 1e-5, start)
    for t in range(2):
        played = trajectory(T, N, 4, 2, seed=t)
        _, rollout, _ = experiment.collector.estimate(nobody(), played)
        state, _ = update(state, flatten(rollout), t, jax.random.key(1))

        played = jax.tree.map(np.asarray, played)
        returns = reference.lambda_returns(
            played.reward, played.next_value, played.terminated, played.done, 0.9, lambda_
        )
        x, action = (y.reshape(T * N, *y.shape[2:]) for y in (played.observation, played.action))
        returns = returns.ravel()
        advantage = returns - played.value.ravel()

        def loss(w, x=x, action=action, advantage=advantage, returns=returns):
            logits, value = x @ w["policy"], (x @ w["value"])[:, 0]
            gain = reference.taken(reference.log_softmax(logits), action) * advantage
            error = (returns - value) ** 2
            return (-gain + 0.7 * error - 0.3 * reference.entropy(logits)).mean()

        grads = reference.clipped(reference.gradient(loss, params), 1.5)
        rmsprop.rate = 0.02 * (1 - t / 4)
        params = rmsprop(params, grads)
    reference.same(state.learner.params, params)
