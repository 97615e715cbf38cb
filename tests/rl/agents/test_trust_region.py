"""Conjugate gradient, Fisher products and the bounded step, against dense algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.acting.distributions import Categorical, DiagonalNormal
from research.rl.agents.trust_region import conjugate_gradient, fisher_product, trust_region_step

RNG = np.random.default_rng(0)
SEEN = RNG.normal(size=(30, 3)).astype(np.float32)
WEIGHTS = 0.5 * RNG.normal(size=6).astype(np.float32)


@pytest.mark.parametrize("size", [1, 5, 12])
def test_conjugate_gradient_equals_a_dense_solve(size):
    root = RNG.normal(size=(size, size))
    matrix = (root @ root.T + np.eye(size)).astype(np.float32)
    b = RNG.normal(size=size).astype(np.float32)
    # More iterations than needed change nothing.
    x = conjugate_gradient(lambda v: matrix @ v, b, 4 * size)
    np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-2, atol=1e-3)
    assert (conjugate_gradient(lambda v: matrix @ v, jnp.zeros(size), 10) == 0).all()


def categorical(weights):
    return Categorical(SEEN @ weights.reshape(3, 2))


def normal(weights):
    return DiagonalNormal((SEEN @ weights[:3])[:, None], jnp.full((30, 1), weights[3]))


@pytest.mark.parametrize("policy", [categorical, normal])
def test_fisher_products_are_those_of_the_outer_products_of_scores(policy):
    """F = E[score score^T], over states and the policy's own actions; 20,000 of them."""
    old = policy(WEIGHTS)
    actions = jax.vmap(old.sample)(jax.random.split(jax.random.key(0), 700))

    def log_probs(weights):
        return jax.vmap(policy(weights).log_prob)(actions)

    scores = jax.jacfwd(log_probs)(WEIGHTS).reshape(-1, len(WEIGHTS))
    fisher = scores.T @ scores / len(scores)
    product = jax.vmap(lambda v: fisher_product(lambda w: old.kl(policy(w)).mean(), WEIGHTS, v))(
        jnp.eye(len(WEIGHTS))
    )
    np.testing.assert_allclose(product, fisher, atol=0.05 * float(abs(fisher).max()))


def step(policy=categorical, advantage=None, **overrides):
    old = policy(WEIGHTS)
    action = old.sample(jax.random.key(1))
    log_prob = old.log_prob(action)
    if advantage is None:
        advantage = jnp.asarray(RNG.normal(size=30), jnp.float32)

    def surrogate(weights):
        return (jnp.exp(policy(weights).log_prob(action) - log_prob) * advantage).mean()

    def kl(weights):
        return old.kl(policy(weights)).mean()

    settings = {"kl_limit": 0.01, "damping": 0.0, "iterations": 10, "backtracks": 10, **overrides}
    taken = trust_region_step(WEIGHTS, surrogate, kl, **settings)
    return taken, surrogate(taken.params) - surrogate(WEIGHTS), kl(taken.params)


@pytest.mark.parametrize("policy", [categorical, normal])
@pytest.mark.parametrize("limit", [1e-3, 0.01, 1.0])
def test_the_step_keeps_the_limit_and_never_lowers_the_surrogate(policy, limit):
    for seed in range(5):
        advantage = jax.random.normal(jax.random.key(seed), (30,))
        taken, improvement, kl = step(policy, advantage, kl_limit=limit)
        assert kl <= limit * 1.001 and improvement >= 0
        np.testing.assert_allclose(taken.kl, kl, rtol=1e-3, atol=1e-7)
        np.testing.assert_allclose(taken.improvement, improvement, rtol=1e-3, atol=1e-6)
        assert taken.fraction > 0 and taken.expected > 0
        if limit == 1e-3:  # where the quadratic model holds, the step goes nearly all the way
            assert kl > 0.2 * limit
            np.testing.assert_allclose(taken.improvement, taken.expected, rtol=0.2)


def test_without_a_line_search_the_limit_may_be_missed():
    """What the search is for: 0 backtracks take the full step, whatever it does."""
    taken = [
        step(normal, jax.random.normal(jax.random.key(seed), (30,)), kl_limit=1.0, backtracks=0)[0]
        for seed in range(5)
    ]
    assert any(t.kl > 1.0 or t.improvement < 0 for t in taken)
    assert all(t.fraction == 1 for t in taken)


def test_where_nothing_is_accepted_nothing_changes():
    def worse(weights):  # falls in every direction, though its gradient there says otherwise
        return jnp.where((weights == WEIGHTS).all(), 0.0, -1.0) + (weights - WEIGHTS).sum()

    taken = trust_region_step(
        WEIGHTS,
        worse,
        lambda w: ((w - WEIGHTS) ** 2).mean(),
        kl_limit=0.01,
        damping=0.1,
        iterations=10,
        backtracks=10,
    )
    np.testing.assert_array_equal(taken.params, WEIGHTS)
    assert taken.fraction == taken.kl == taken.improvement == 0
