"""TRPO's step and its value function against the paper's formulas in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.core import Learner
from research.rl.acting.rollouts import Rollout, flatten
from research.rl.agents.trpo import TRPO
from tests.rl import reference
from tests.rl.trajectories import trajectory

T, N = 6, 5


def rollout_of(agent, policy, scale=0.3):
    """A rollout of noise, acted on by the policy itself; advantages are of deviation 3."""
    played = flatten(trajectory(T, N, 4, 3))
    # Of every second state the Fisher matrix knows nothing: there the policy moves farther.
    scale = jnp.where(jnp.arange(T * N) % 2, scale, 1.0)[:, None]
    played = played._replace(observation=scale * played.observation)
    acted = agent.policy(policy, played.observation)
    return Rollout(
        observation=played.observation,
        action=played.action,
        policy=acted,
        log_prob=acted.log_prob(played.action),
        value=played.value,
        returns=2 * played.reward,
        advantage=played.reward,
    )


def made(**changes):
    settings = {
        "kl_limit": 0.01,
        "damping": 0.1,
        "cg_iterations": 20,
        "backtracks": 10,
        "fisher_every": 2,
        "value_epochs": 2,
        "value_minibatches": 3,
        **changes,
    }
    critic = Learner(reference.Linear("value"), optax.adam(0.05, eps=1e-5), max_grad_norm=1.0)
    agent = TRPO(actor=reference.Linear("policy", actions=3), critic=critic, **settings)
    seen = jnp.zeros((1, 4))
    return agent, agent.init_policy(jax.random.key(0), seen), critic.init(jax.random.key(1), seen)


@pytest.mark.parametrize(("entropy_weight", "scale"), [(0.0, 0.3), (0.5, 0.3), (0.0, 8.0)])
def test_a_step_is_the_papers(entropy_weight, scale):
    agent, policy, _ = made()
    rollout = rollout_of(agent, policy, scale)
    new, taken = jax.jit(lambda *x: agent.improve(*x, entropy_weight))(policy, rollout)
    x, action, advantage = (
        np.asarray(y, float) for y in (rollout.observation, rollout.action, rollout.advantage)
    )
    action = action.astype(int)
    w = np.asarray(policy["params"]["policy"], np.float64)
    advantage = (advantage - advantage.mean()) / advantage.std()
    old = reference.log_softmax(x @ w)

    def surrogate(w):
        log_p = reference.log_softmax(x @ w)
        gain = np.exp(reference.taken(log_p - old, action)) * advantage
        return (gain + entropy_weight * reference.entropy(x @ w)).mean()

    matrix = reference.fisher(x[::2], x[::2] @ w) + 0.1 * np.eye(w.size)
    expected, fraction = reference.trust_region_step(
        w,
        surrogate,
        lambda w: reference.kl(old, x @ w).mean(),
        matrix,
        limit=0.01,
        backtracks=10,
    )
    assert (fraction == 1) == (scale < 1) and fraction > 0
    assert float(taken.fraction) == fraction
    np.testing.assert_allclose(new["params"]["policy"], expected, rtol=5e-3, atol=1e-3)
    np.testing.assert_allclose(taken.improvement, surrogate(expected) - surrogate(w), rtol=1e-2)


def test_the_value_is_fitted_to_returns_over_epochs_of_minibatches():
    agent, policy, value = made()
    rollout, key = rollout_of(agent, policy), jax.random.key(3)
    after, _ = jax.jit(agent.fit)(value, rollout, key)
    x, returns = (np.asarray(y, float) for y in (rollout.observation, rollout.returns))
    params, adam = reference.as_float64(value.params), reference.Adam(0.05, 1e-5)
    for epoch in jax.random.split(key, 2):
        order = jax.random.permutation(jax.random.split(epoch)[0], T * N)
        for rows in np.asarray(order).reshape(3, -1):

            def loss(w, rows=rows):
                return (((x[rows] @ w["value"])[:, 0] - returns[rows]) ** 2).mean()

            params = adam(params, reference.clipped(reference.gradient(loss, params), 1.0))
    reference.same(after.params, params)
