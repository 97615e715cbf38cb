"""`:paper` against section 7 of the paper, «Experiment details»."""

import jax
import numpy as np

from configs.ddpg import get_config
from experiments import ddpg
from research import app
from tests.rl.paper_table import check

TABLE = {
    "optimizer.actor_learning_rate": 1e-4,
    "optimizer.critic_learning_rate": 1e-3,
    "optimizer.critic_weight_decay": 1e-2,
    "agent.gamma": 0.99,
    "agent.tau": 0.001,
    "model.hidden": (400, 300),
    "model.normalization": "batch",
    "agent.batch_size": 64,
    "replay.capacity_frames": 1_000_000,
    "exploration.name": "ornstein_uhlenbeck",
    "exploration.theta": 0.15,
    "exploration.sigma": 0.2,
    "env.num_envs": 1,
    "agent.updates_per_step": 1,
    "max_grad_norm": 0.0,
}


def test_settings():
    check(get_config("paper"), TABLE)


def test_first_weights():
    """Of the last layers uniform within 3e-3, of the others within 1 / sqrt(fan in); the action
    enters the second layer."""
    networks = app.build(ddpg, get_config("paper")).networks
    state = jax.jit(networks.init)(jax.random.key(0), np.zeros((2, 3), np.float32))
    actor, critic = state.actor.params, state.critic.params
    for params in (actor, critic):
        for leaf in jax.tree.leaves(params["last"]):
            assert 0 < np.abs(leaf).max() <= 3e-3
        first = np.abs(params["Dense_0"]["kernel"])
        assert 0.95 * 3**-0.5 < first.max() <= 3**-0.5
    assert critic["Dense_0"]["kernel"].shape == (3, 400)
    assert critic["Dense_1"]["kernel"].shape == (401, 300)
