"""`:paper` and `:continuous` against the paper's tables, and OpenAI Baselines where they differ."""

import pytest

from configs.ppo import get_config
from experiments import ppo
from research import app
from tests.rl.paper_table import check

# Table 5 of the paper (Atari) as Baselines' ppo2 has it (ppo2/defaults.py, `atari`): 4 epochs, a
# value weight of 0.5 on half the squared error, clipped as the ratio is, gradients clipped to 0.5.
ATARI = {
    "agent.objective": "clip",
    "agent.rollout_steps": 128,
    "env.num_envs": 8,
    "agent.epochs": 4,
    "agent.minibatches": 4,
    "agent.gamma": 0.99,
    "agent.gae_lambda": 0.95,
    "agent.clip": 0.1,
    "agent.anneal_clip": True,
    "agent.anneal": True,
    "agent.value_clip": 0.1,
    "agent.value_weight": 0.25,
    "agent.entropy_weight": 0.01,
    "agent.normalize_advantages": True,
    "optimizer.learning_rate": 2.5e-4,
    "optimizer.adam_epsilon": 1e-5,
    "max_grad_norm": 0.5,
    "env.stack": 4,
    "env.action_repeat": 4,
    "env.max_noops": 30,
    "env.fire_reset": True,
    "env.life_loss_ends": True,
    "env.reward_clip": 1.0,
    "env.normalize_rewards": False,
    "env.normalize_observations": False,
    "total_frames": 40_000_000,
    "model.variant": "2015",
    "model.shared": True,
    "eval.episodes": 30,
}
# Table 3 (continuous control, 1M steps), and Baselines' normalization (ppo2/defaults.py, mujoco).
CONTINUOUS = {
    "agent.objective": "clip",
    "agent.rollout_steps": 2048,
    "env.num_envs": 1,
    "agent.epochs": 10,
    "agent.minibatches": 2048 // 64,
    "agent.gamma": 0.99,
    "agent.gae_lambda": 0.95,
    "agent.clip": 0.2,
    "agent.value_clip": 0.2,
    "agent.entropy_weight": 0.0,
    "optimizer.learning_rate": 3e-4,
    "optimizer.adam_epsilon": 1e-5,
    "max_grad_norm": 0.5,
    "env.normalize_observations": True,
    "env.normalize_rewards": True,
    "total_frames": 1_000_000,
    "model.variant": "mlp",
    "model.shared": False,
}


@pytest.mark.parametrize(
    ("variant", "table"), [("paper", ATARI), ("pong", ATARI), ("continuous", CONTINUOUS)]
)
def test_settings(variant, table):
    check(get_config(variant), table)


def test_alpha_falls_from_one_to_zero_over_the_run():
    experiment = app.build(ppo, get_config("paper"))
    steps = 40_000_000 // (8 * 128 * 4)
    assert experiment.num_steps == steps
    rate = experiment.learning_rate(2.5e-4)
    for share in (0, 0.5, 1):  # 16 updates a step
        now = int(share * steps)
        assert float(rate(16 * now)) == pytest.approx(2.5e-4 * (1 - now / steps), abs=1e-8)
