"""`:paper` against OpenAI Baselines' ACER, and the paper's trust region."""

import pytest

from configs.acer import get_config
from experiments import acer
from research import app
from tests.rl.paper_table import check

# Baselines, acer/acer.py (defaults of `learn`), and sections 3.2, 3.3 and 5 of the paper. Replay
# holds 50,000 steps of each of 16 actors, and starts after 10,000 of each; a step is 4 frames.
TABLE = {
    "agent.segment_steps": 20,
    "agent.gamma": 0.99,
    "agent.replay_ratio": 4.0,
    "agent.truncation": 10.0,
    "agent.trust_region": 1.0,
    "agent.average_decay": 0.99,
    "agent.q_weight": 0.5,
    "agent.entropy_weight": 0.01,
    "optimizer.learning_rate": 7e-4,
    "optimizer.rmsprop_decay": 0.99,
    "optimizer.rmsprop_epsilon": 1e-5,
    "optimizer.rmsprop_initial_scale": 1.0,
    "max_grad_norm": 10.0,
    "env.num_envs": 16,
    "env.stack": 4,
    "env.action_repeat": 4,
    "env.max_noops": 30,
    "env.life_loss_ends": True,
    "env.reward_clip": 1.0,
    "replay.capacity_frames": 4 * 16 * 50_000,
    "replay.learning_starts_frames": 4 * 16 * 10_000,
    "total_frames": 40_000_000,
    "model.variant": "2015",
    "model.shared": True,
}


@pytest.mark.parametrize("variant", ["paper", "pong"])
def test_settings(variant):
    check(get_config(variant), TABLE)


def test_the_default_has_the_papers_truncation_and_trust_region():
    keys = ("truncation", "trust_region", "average_decay", "replay_ratio", "q_weight")
    check(get_config(), {f"agent.{key}": TABLE[f"agent.{key}"] for key in keys})


def test_the_experiment_has_them():
    experiment = app.build(acer, get_config("paper"))
    assert experiment.segments.ring.rows == 50_000 // 20  # of 16 segments each
    assert experiment.num_steps == 40_000_000 // (16 * 20 * 4)
