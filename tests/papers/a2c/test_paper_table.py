"""`:paper` against OpenAI Baselines' A2C, and the paper's network."""

import jax
import numpy as np
import pytest

from configs.a2c import get_config
from experiments import a2c
from research import app
from tests.rl.paper_table import check

# Baselines, a2c/a2c.py (defaults of `learn`), a2c/runner.py, common/cmd_util.py; TensorFlow's
# RMSProp begins with a second moment of 1. The network is the paper's (section 5.1).
TABLE = {
    "agent.rollout_steps": 5,
    "agent.gamma": 0.99,
    "agent.gae_lambda": 1.0,
    "agent.value_weight": 0.5,
    "agent.entropy_weight": 0.01,
    "agent.anneal": True,
    "optimizer.learning_rate": 7e-4,
    "optimizer.rmsprop_decay": 0.99,
    "optimizer.rmsprop_epsilon": 1e-5,
    "optimizer.rmsprop_initial_scale": 1.0,
    "max_grad_norm": 0.5,
    "env.num_envs": 16,
    "env.stack": 4,
    "env.action_repeat": 4,
    "env.max_noops": 30,
    "env.fire_reset": True,
    "env.life_loss_ends": True,
    "env.reward_clip": 1.0,
    "env.normalize_observations": False,
    "env.normalize_rewards": False,
    "model.variant": "2016",
    "model.shared": True,
    "total_frames": 320_000_000,
    "eval.episodes": 30,
}


@pytest.mark.parametrize("variant", ["paper", "pong"])
def test_settings(variant):
    check(get_config(variant), TABLE)


def test_the_second_moment_begins_at_one_there_and_at_zero_here():
    for variant, start in (("paper", 1.0), ("", 0.0), ("minatar", 0.0)):
        experiment = app.build(a2c, get_config(variant))
        square = experiment.learner.tx.init({"x": np.zeros(3)})
        found = [x for x in jax.tree.leaves(square) if np.shape(x) == (3,)]
        assert found and all((np.asarray(x) == start).all() for x in found)
