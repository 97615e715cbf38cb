"""DDPG's update against its formulas written out; targets that follow."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.core import Learner
from research.models.deterministic_actor_critic import Actor, Critic
from research.models.q_network import QNetwork
from research.rl.agents import target_network
from research.rl.agents.ddpg import DDPG
from research.rl.agents.q_learning import QLearning
from research.rl.replay.transitions import Transition

LR, GAMMA, B = 0.05, 0.9, 6


def batch_of(continuous=True):
    keys = jax.random.split(jax.random.key(3), 4)
    action = jax.random.uniform(keys[0], (B, 2), minval=-1) if continuous else jnp.arange(B) % 3
    return Transition(
        jax.random.normal(keys[1], (B, 3)),
        action,
        jax.random.normal(keys[2], (B,)),
        jnp.arange(B) % 3 == 0,
        jax.random.normal(keys[3], (B, 3)),
    )


def made(normalization="none", **settings):
    """An agent whose targets are not its networks, and values away from zero."""
    agent = DDPG(
        Learner(Actor(2, (5,), normalization), optax.sgd(LR)),
        Learner(Critic((7, 5), normalization), optax.sgd(LR)),
        GAMMA,
        **settings,
    )
    init = jax.jit(agent.init)
    state, other = (init(jax.random.key(i), jnp.zeros((1, 3))) for i in (0, 1))
    state = state.replace(target_actor=other.target_actor, target_critic=other.target_critic)
    # The last layers begin at 3e-3: larger, so that there is something to see.
    return agent, jax.tree_util.tree_map_with_path(
        lambda path, x: 100 * x if "last" in str(path) else x, state
    )


def actor_by_hand(params, x):
    h = jnp.maximum(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 0)
    return h @ params["last"]["kernel"] + params["last"]["bias"]


def critic_by_hand(params, x, action):
    h = jnp.maximum(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 0)
    h = jnp.concatenate([h, action], axis=1)
    h = jnp.maximum(h @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"], 0)
    return (h @ params["last"]["kernel"] + params["last"]["bias"])[:, 0]


@pytest.mark.parametrize("limits", [(-jnp.inf, jnp.inf), (-0.2, 0.1)])
def test_update_is_the_papers(limits):
    agent, state = made(target_range=limits, action_penalty=0.3)
    batch = batch_of()
    new, metrics = jax.jit(agent.update)(state, batch, jax.random.key(5))

    following = jnp.tanh(actor_by_hand(state.target_actor["params"], batch.next_observation))
    value = critic_by_hand(state.target_critic["params"], batch.next_observation, following)
    goal = np.clip(batch.reward + GAMMA * (1.0 - batch.terminated) * value, *limits)

    def critic_loss(params):
        return jnp.mean((critic_by_hand(params, batch.observation, batch.action) - goal) ** 2)

    expected = jax.tree.map(
        lambda p, g: p - LR * g, state.critic.params, jax.grad(critic_loss)(state.critic.params)
    )
    same(new.critic.params, expected)
    assert float(metrics["loss"]) == pytest.approx(float(critic_loss(state.critic.params)), 1e-4)

    def actor_loss(params):  # on the critic after its step
        z = actor_by_hand(params, batch.observation)
        value = critic_by_hand(expected, batch.observation, jnp.tanh(z))
        return -value.mean() + 0.3 * (z**2).mean()

    same(
        new.actor.params,
        jax.tree.map(
            lambda p, g: p - LR * g, state.actor.params, jax.grad(actor_loss)(state.actor.params)
        ),
    )
    same((new.target_actor, new.target_critic), (state.target_actor, state.target_critic))


def same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), a, b)


def test_q_learning_update():
    agent = QLearning(Learner(QNetwork(3, (5,)), optax.sgd(LR)), GAMMA, (-0.5, 0.5))
    state = agent.init(jax.random.key(0), jnp.zeros((1, 3)))
    state = state.replace(target=agent.init(jax.random.key(1), jnp.zeros((1, 3))).target)
    batch = batch_of(continuous=False)
    new, metrics = jax.jit(agent.update)(state, batch, jax.random.key(2))
    value = agent.values(state.target, batch.next_observation).max(axis=1)
    goal = np.clip(batch.reward + GAMMA * (1.0 - batch.terminated) * value, -0.5, 0.5)
    q = np.asarray(agent.values(state.learner, batch.observation))[np.arange(B), batch.action]
    assert float(metrics["loss"]) == pytest.approx(float(((q - goal) ** 2).mean()), 1e-4)
    # The last bias moves by the errors of its action.
    change = new.learner.params["q"]["bias"] - state.learner.params["q"]["bias"]
    for a in range(3):
        error = (goal - q)[np.asarray(batch.action) == a].sum()
        assert float(change[a]) == pytest.approx(LR * 2 / B * error, abs=1e-5)


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_targets_follow(tau):
    agent, state = made("batch")
    state, _ = jax.jit(agent.update)(state, batch_of(), jax.random.key(5))
    moved = agent.follow(state, tau)
    for target, after, learner in (
        (state.target_actor, moved.target_actor, state.actor),
        (state.target_critic, moved.target_critic, state.critic),
    ):
        learned = target_network.variables(learner)
        assert set(learned) == {"params", "batch_stats"}
        same(after, jax.tree.map(lambda o, n: tau * n + (1 - tau) * o, target, learned))
        if tau == 1:
            jax.tree.map(np.testing.assert_array_equal, after, learned)


def test_batch_statistics_are_of_the_replayed_batches():
    agent, state = made("batch")
    batch = batch_of()
    new, _ = jax.jit(agent.update)(state, batch, jax.random.key(5))
    for learner in (new.actor, new.critic):
        mean = learner.variables["batch_stats"]["BatchNorm_0"]["mean"]
        np.testing.assert_allclose(mean, 0.01 * batch.observation.mean(axis=0), atol=1e-6)
