"""DDPG's update written out in formulas, for whatever script makes one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.core import Learner
from research.models.deterministic_actor_critic import Actor, Critic
from research.rl.agents.ddpg import DDPGNetworks
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


def made(normalization="none"):
    """Networks whose targets are others, and whose values are away from zero; with their state."""
    networks = DDPGNetworks(
        Learner(Actor(2, (5,), normalization), optax.sgd(LR)),
        Learner(Critic((7, 5), normalization), optax.sgd(LR)),
    )
    init = jax.jit(networks.init)
    state, other = (init(jax.random.key(i), jnp.zeros((1, 3))) for i in (0, 1))
    state = state.replace(target_actor=other.target_actor, target_critic=other.target_critic)
    # The last layers begin at 3e-3: larger, so that there is something to see.
    return networks, jax.tree_util.tree_map_with_path(
        lambda path, x: 100 * x if "last" in str(path) else x, state
    )


def actor(params, x):
    h = jnp.maximum(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 0)
    return h @ params["last"]["kernel"] + params["last"]["bias"]


def critic(params, x, action):
    h = jnp.maximum(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 0)
    h = jnp.concatenate([h, action], axis=1)
    h = jnp.maximum(h @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"], 0)
    return (h @ params["last"]["kernel"] + params["last"]["bias"])[:, 0]


def updated(state, batch, limits=(-np.inf, np.inf), action_penalty=0.0):
    """Parameters of the critic and the actor after an update by SGD, and the critic's loss."""
    next_action = jnp.tanh(actor(state.target_actor["params"], batch.next_observation))
    value = critic(state.target_critic["params"], batch.next_observation, next_action)
    y = np.clip(batch.reward + GAMMA * (1.0 - batch.terminated) * value, *limits)

    def critic_loss(params):
        return jnp.mean((critic(params, batch.observation, batch.action) - y) ** 2)

    loss, gradient = jax.value_and_grad(critic_loss)(state.critic.params)
    new_critic = jax.tree.map(lambda p, g: p - LR * g, state.critic.params, gradient)

    def actor_loss(params):  # on the critic after its step
        z = actor(params, batch.observation)
        value = critic(new_critic, batch.observation, jnp.tanh(z))
        return -value.mean() + action_penalty * (z**2).mean()

    gradient = jax.grad(actor_loss)(state.actor.params)
    new_actor = jax.tree.map(lambda p, g: p - LR * g, state.actor.params, gradient)
    return new_critic, new_actor, float(loss)


def same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), a, b)
