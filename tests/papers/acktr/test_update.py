"""An update of ACKTR against the paper's formulas in NumPy: one layer for the policy, one for the
value, whose factors are sums over states that can be written down."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.acktr import get_config
from experiments import acktr
from research import app
from research.core import Learner
from research.rl.acting.rollouts import flatten
from research.rl.agents.on_policy import OnPolicyState
from tests.rl import reference
from tests.rl.trajectories import nobody, trajectory

T, N, DAMPING, MOMENTUM = 6, 5, 0.02, 0.8


class Layers(nn.Module):
    """A layer for each of policy and value."""

    @nn.compact
    def __call__(self, x):
        init = nn.initializers.normal(0.7)
        logits = nn.Dense(2, kernel_init=init, name="policy")(x)
        value = nn.Dense(1, kernel_init=init, name="value")(x)
        return ({"logits": logits}, value[:, 0]), {}


def matrices(params):
    """Kernels with their biases in the last row."""
    return {
        name: np.concatenate([np.asarray(p["kernel"]), np.asarray(p["bias"])[None]]).astype(float)
        for name, p in params.items()
    }


def inverse(a, g, damping):
    """(A + pi sqrt(lambda) I)^-1 and (G + sqrt(lambda) / pi I)^-1 (Martens and Grosse, 6.3)."""
    pi = np.sqrt((np.trace(a) / len(a)) / (np.trace(g) / len(g)))
    return (
        np.linalg.inv(a + pi * damping**0.5 * np.eye(len(a))),
        np.linalg.inv(g + damping**0.5 / pi * np.eye(len(g))),
    )


@pytest.mark.parametrize("bound", [False, True])
def test_two_updates_are_the_papers(bound):
    """The gradient of A2C between inverse factors of the model's own Fisher matrix, no longer than
    the trust region of each of the two networks, or than the rate; momentum after it."""
    rate, limits = 0.1, {"policy": 99.0, "value": 99.0}
    if bound:
        rate, limits = 10.0, {"policy": 0.002, "value": 0.05}
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
            "agent.value_weight": 0.7,
            "agent.entropy_weight": 0.3,
            "optimizer.kfac_learning_rate": rate,
            "optimizer.trust_region": limits["policy"],
            "optimizer.value_trust_region": limits["value"],
            "optimizer.damping": DAMPING,
            "optimizer.momentum": MOMENTUM,
            "total_frames": N * T * 4,
        }
    )
    experiment = app.build(acktr, config)
    experiment.learner = Learner(Layers(), experiment.learner.tx)
    learner = experiment.learner.init(jax.random.key(0), jnp.zeros((1, 4)))
    state, update = OnPolicyState(learner, None), jax.jit(experiment.update)
    w, step = matrices(learner.params), {"policy": 0.0, "value": 0.0}
    factors: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"policy": [], "value": []}
    for t in range(2):
        played = trajectory(T, N, 4, 2, seed=t)
        rollout = flatten(experiment.collector.estimate(nobody(), played)[1])
        key = jax.random.key(t)
        state, _ = update(state, rollout, t, key)

        played = jax.tree.map(lambda x: np.asarray(x).astype(float), played)
        returns = reference.lambda_returns(
            played.reward, played.next_value, played.terminated, played.done, 0.9, 0.8
        ).ravel()
        x = np.concatenate([played.observation.reshape(T * N, 4), np.ones((T * N, 1))], axis=1)
        action = played.action.ravel().astype(int)
        advantage = returns - played.value.ravel()

        # Of samples of the model: actions of its policy, returns with noise of variance 1.
        action_key, value_key = jax.random.split(jax.random.split(key)[0])
        logits = x @ w["policy"]
        sampled = np.asarray(jax.random.categorical(action_key, jnp.asarray(logits, jnp.float32)))
        noise = np.asarray(jax.random.normal(value_key, (T * N,)), float)[:, None]
        scores = np.eye(2)[sampled] - np.exp(reference.log_softmax(logits))
        for name, g in (("policy", scores), ("value", noise)):
            factors[name].append((x.T @ x / len(x), g.T @ g / len(g)))

        def loss(w, x=x, action=action, advantage=advantage, returns=returns):
            logits = x @ w["policy"]
            gain = reference.taken(reference.log_softmax(logits), action) * advantage
            error = (returns - (x @ w["value"])[:, 0]) ** 2
            return (-gain + 0.7 * error - 0.3 * reference.entropy(logits)).mean()

        grads = reference.gradient(loss, w)
        for name, grad in grads.items():
            a, g = (np.mean(f, axis=0) for f in zip(*factors[name], strict=True))
            a, g = inverse(a, g, DAMPING)
            natural = a @ grad @ g
            longest = np.sqrt(2 * limits[name] / (natural * grad).sum())
            eta = min(rate * (1 - t / 4), longest)
            assert (eta == longest) == bound
            step[name] = MOMENTUM * step[name] - (1 - MOMENTUM) * eta * natural
        w = {name: w[name] + step[name] for name in w}
    reference.same(matrices(state.learner.params), w, rtol=2e-3, atol=2e-4)


def test_the_rival_differs_in_its_optimizer_alone():
    config = get_config("smoke")
    config.optimizer.name = "rmsprop"
    config.optimizer.rmsprop_initial_scale = 1.0
    config.total_frames = 10**9  # a rate that hardly falls
    tx = app.build(acktr, config).learner.tx
    rmsprop = reference.RMSProp(config.optimizer.rmsprop_learning_rate, 0.99, 1e-5, 1.0)
    rng, params = np.random.default_rng(0), {"x": np.zeros(5)}
    state, x = tx.init(params), {"x": jnp.zeros(5)}
    for _ in range(3):
        grads = {"x": rng.normal(size=5)}
        updates, state = tx.update({"x": jnp.asarray(grads["x"], jnp.float32)}, state)
        x, params = {"x": x["x"] + updates["x"]}, rmsprop(params, grads)
    reference.same(x, params)
    assert dataclasses.asdict(app.build(acktr, get_config()).kfac)["momentum"] == 0.9
