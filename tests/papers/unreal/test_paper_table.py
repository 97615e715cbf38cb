"""`:paper` against section 4.1 and appendix B of the paper."""

import pytest

from configs.unreal import get_config
from experiments import unreal
from research import app
from research.papers.unreal.network import SIZES
from tests.rl.paper_table import check

TABLE = {
    "agent.rollout_steps": 20,
    "agent.gamma": 0.99,
    "agent.anneal": True,
    "auxiliary.control": "pixels",
    "auxiliary.control_gamma": 0.9,
    "auxiliary.reward_weight": 1.0,
    "auxiliary.value_weight": 1.0,
    "replay.steps_per_actor": 2_000,
    "env.action_repeat": 4,
    "env.reward_clip": 1.0,
    "env.stack": 1,
    "model.variant": "paper",
}
# Drawn log-uniformly in the paper; that of control as github.com/miyosuda/unreal has it for Atari.
RANGES = {
    "optimizer.learning_rate": (1e-4, 5e-3),
    "agent.entropy_weight": (5e-4, 1e-2),
    "auxiliary.control_weight": (1e-4, 1e-2),
    "env.num_envs": (16, 32),
}


@pytest.mark.parametrize("variant", ["paper", "pong"])
def test_settings(variant):
    config = get_config(variant)
    check(config, TABLE)
    for key, (low, high) in RANGES.items():
        part, name = key.split(".")
        assert low <= config[part][name] <= high, key


def test_sizes_and_what_is_controlled():
    """16 filters 8x8 of stride 4, 32 4x4 of stride 2, 256 units, an LSTM of 256; 20x20 cells of 4x4
    pixels in the middle of 84x84; three frames before a reward, 128 units."""
    size = SIZES["paper"]
    assert size.convolutions == ((16, 8, 4), (32, 4, 2))
    assert (size.dense, size.lstm, size.reward) == (256, 256, 128)
    assert (size.crop, size.cell, size.channels) == (80, 4, 32)
    experiment = app.build(unreal, get_config())
    assert experiment.sequences.history == 3
