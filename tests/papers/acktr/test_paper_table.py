"""`:paper` against OpenAI Baselines' ACKTR."""

import pytest

from configs.acktr import get_config
from experiments import acktr
from research import app
from tests.rl.paper_table import check

# Baselines, acktr/acktr.py (defaults of `learn`: nsteps 20, vf_coef 0.5, ent_coef 0.01, lr 0.25,
# kfac_clip 0.001) and acktr/defaults.py; the rival's are those of its A2C.
TABLE = {
    "optimizer.name": "kfac",
    "optimizer.kfac_learning_rate": 0.25,
    "optimizer.trust_region": 0.001,
    "optimizer.factor_decay": 0.99,
    "optimizer.damping": 0.01,
    "optimizer.momentum": 0.9,
    "optimizer.rmsprop_learning_rate": 7e-4,
    "optimizer.rmsprop_decay": 0.99,
    "optimizer.rmsprop_epsilon": 1e-5,
    "optimizer.rmsprop_initial_scale": 1.0,
    "agent.rollout_steps": 20,
    "agent.gamma": 0.99,
    "agent.gae_lambda": 1.0,
    "agent.value_weight": 0.5,
    "agent.entropy_weight": 0.01,
    "env.num_envs": 32,
    "env.stack": 4,
    "env.action_repeat": 4,
    "env.life_loss_ends": True,
    "env.reward_clip": 1.0,
    "env.normalize_rewards": False,
    "total_frames": 40_000_000,
    "model.variant": "2015",
    "model.shared": True,
}


@pytest.mark.parametrize("variant", ["paper", "pong"])
def test_settings(variant):
    check(get_config(variant), TABLE)


def test_a_shared_trunk_is_one_problem():
    assert app.build(acktr, get_config("paper")).kfac.apart == {}
    assert set(app.build(acktr, get_config()).kfac.apart) == {"value"}
