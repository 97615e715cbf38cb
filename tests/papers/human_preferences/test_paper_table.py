"""`:paper` (A.2, Atari) and `:continuous` (A.1) against the paper's appendix."""

import pytest

from configs.human_preferences import get_config
from experiments import human_preferences
from research import app
from tests.rl.paper_table import check

COMMON = {
    "reward.members": 3,
    "reward.error_rate": 0.1,
    "reward.validation_ratio": (1.1, 1.5),
    "queries.selection": "variance",
    "queries.candidates": 10,
}
CONTINUOUS = {
    **COMMON,
    "agent.algorithm": "trpo",
    "agent.gamma": 0.995,
    "agent.gae_lambda": 0.97,
    "agent.entropy_weight": 0.01,
    "reward.variant": "mlp",
    "reward.std": 1.0,
    "queries.total_labels": 700,
    "queries.initial_fraction": 0.25,
    "queries.annealing_frames": 2_000_000,
}
ATARI = {
    **COMMON,
    "agent.algorithm": "a2c",
    "agent.hide_ends": True,
    "agent.rollout_steps": 5,
    "agent.entropy_weight": 0.01,
    "env.num_envs": 16,
    "env.stack": 4,
    "env.action_repeat": 4,
    "env.max_noops": 30,
    "optimizer.learning_rate": 7e-4,
    "reward.variant": "atari",
    "reward.dropout": 0.5,
    "reward.std": 0.05,
    "queries.total_labels": 5_500,
    "queries.initial_fraction": 500 / 5_500,
    "queries.clip_steps": 25,
    "queries.memory": 3_000,
    "total_frames": 200_000_000,
}


@pytest.mark.parametrize(
    ("variant", "table"),
    [("continuous", CONTINUOUS), ("paper", ATARI), ("pong", ATARI), ("", COMMON)],
)
def test_settings(variant, table):
    check(get_config(variant), table)


def test_the_experiment_has_three_predictors_that_err_in_a_tenth():
    ensemble = app.build(human_preferences, get_config()).ensemble
    assert ensemble.num_members == 3
    assert ensemble.comparison_loss.keywords == {"error_rate": 0.1}
    assert ensemble.l2_rate > 0 and ensemble.l2 > 0
