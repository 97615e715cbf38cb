"""Updates of PPO against the paper's formulas in NumPy: ratios far outside of the clip."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.ppo import get_config
from experiments import ppo
from research import app
from research.rl.acting.rollouts import flatten
from tests.rl import reference
from tests.rl.trajectories import nobody, trajectory

T, N, EPOCHS = 6, 6, 2
SIDES: set[tuple[bool, bool]] = set()
SETTINGS = {
    "clip": {},
    "clipped_value": {"agent.value_clip": 0.3, "agent.anneal_clip": True},
    "kl_penalty": {"agent.objective": "kl_penalty", "agent.kl_penalty": 0.6},
    "unbounded": {"agent.objective": "unbounded", "agent.normalize_advantages": False},
}


def build(overrides):
    config = get_config("smoke")
    config.update_from_flattened_dict(
        {
            "env.name": "CartPole-v1",
            "env.num_envs": N,
            "env.normalize_observations": False,
            "env.normalize_rewards": False,
            "agent.rollout_steps": T,
            "agent.epochs": EPOCHS,
            "agent.minibatches": 2,
            "agent.gamma": 0.9,
            "agent.gae_lambda": 0.8,
            "agent.value_weight": 0.7,
            "agent.entropy_weight": 0.3,
            "optimizer.learning_rate": 0.05,
            "max_grad_norm": 1.0,
            "total_frames": N * T * 4,
            **overrides,
        }
    )
    experiment = app.build(ppo, config)
    network = reference.Linear("both", actions=2)
    return dataclasses.replace(experiment.learner, model=network), experiment, config


def objective(agent, w, rows, remaining, beta):
    """Less equation 9, with L^CLIP (7), L^KLPEN (8) or L^CPI (6); Baselines' clipped value."""
    logits, value = rows["x"] @ w["policy"], (rows["x"] @ w["value"])[:, 0]
    log_p = reference.taken(reference.log_softmax(logits), rows["action"])
    ratio = np.exp(log_p - reference.taken(reference.log_softmax(rows["old"]), rows["action"]))
    advantage = rows["advantage"]
    if agent.normalize_advantages:
        advantage = (advantage - advantage.mean()) / advantage.std()
    gain = ratio * advantage
    if agent.objective == "clip":
        epsilon = agent.clip * remaining
        outside = np.abs(ratio - 1) > epsilon
        SIDES.update(zip(ratio[outside] > 1, advantage[outside] > 0, strict=True))
        gain = np.minimum(gain, np.clip(ratio, 1 - epsilon, 1 + epsilon) * advantage)
    elif agent.objective == "kl_penalty":
        gain = gain - beta * reference.kl(rows["old"], logits)
    error = (value - rows["returns"]) ** 2
    if agent.value_clip:
        limit = agent.value_clip * remaining
        near = rows["value"] + np.clip(value - rows["value"], -limit, limit)
        error = np.maximum(error, (near - rows["returns"]) ** 2)
    return (-gain + 0.7 * error - 0.3 * reference.entropy(logits)).mean()


@pytest.mark.parametrize("name", SETTINGS)
def test_the_updates_on_two_rollouts_are_the_papers(name):
    """K epochs of minibatches on one rollout (algorithm 1), twice: rate and clips fall to 0."""
    learner, experiment, config = build(SETTINGS[name])
    experiment.learner, agent = learner, config.agent
    first = learner.init(jax.random.key(0), jnp.zeros((1, 4)))
    state = ppo.State(first, None, jnp.float32(agent.kl_penalty))
    params, beta = reference.as_float64(first.params), agent.kl_penalty
    adam, update = reference.Adam(0.05, 1e-5), jax.jit(experiment.update)
    for t in range(2):
        played = trajectory(T, N, 4, 2, seed=t)
        _, rollout, _ = experiment.collector.estimate(nobody(), played)
        key = jax.random.key(t)
        state, metrics = update(state, flatten(rollout), t, key)

        played = jax.tree.map(lambda x: np.asarray(x).astype(float), played)
        returns = reference.lambda_returns(
            played.reward, played.next_value, played.terminated, played.done, 0.9, 0.8
        )
        rows = {
            "x": played.observation,
            "action": played.action.astype(int),
            "old": played.policy.logits,
            "value": played.value,
            "returns": returns,
            "advantage": returns - played.value,
        }
        rows = {k: x.reshape(T * N, *x.shape[2:]) for k, x in rows.items()}
        adam.rate = 0.05 * (1 - t / 4)
        remaining = 1 - t / 4 if agent.anneal_clip else 1.0
        for epoch in jax.random.split(key, EPOCHS):
            order = jax.random.permutation(jax.random.split(epoch)[0], T * N)
            for part in np.asarray(order).reshape(2, -1):
                batch = {k: x[part] for k, x in rows.items()}

                def loss(w, batch=batch, remaining=remaining, beta=beta):
                    return objective(agent, w, batch, remaining, beta)

                params = adam(params, reference.clipped(reference.gradient(loss, params), 1.0))
        kl = reference.kl(rows["old"], rows["x"] @ params["policy"]).mean()
        np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-3)
        if agent.objective == "kl_penalty":
            beta *= 2 if kl > 1.5 * agent.kl_target else 0.5 if kl < agent.kl_target / 1.5 else 1
            assert beta != agent.kl_penalty
            np.testing.assert_allclose(state.beta, beta, rtol=1e-6)
    if agent.objective == "clip":  # ratios were beyond either bound, with advantages of either sign
        assert len(SIDES) == 4
    reference.same(state.learner.params, params, rtol=1e-3, atol=1e-4)
