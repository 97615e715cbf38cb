"""`:paper` against appendix A of the paper, «Experiment details»."""

import numpy as np
import pytest

from configs.her import get_config
from experiments import her
from research import app
from tests.rl.paper_table import check

# Three layers of 64; a million transitions; 200 epochs of 50 cycles of 16 episodes and 40 updates,
# on each of 8 workers, whose batches are of 128. Targets keep 0.95. Random actions in 20 %, noise
# of 5 % of the range, which is 2, on the others.
TABLE = {
    "model.hidden": (64, 64, 64),
    "learning_rate": 1e-3,
    "replay.capacity_frames": 1_000_000,
    "replay.strategy": "future",
    "replay.k": 4,
    "agent.gamma": 0.98,
    "agent.batch_size": 8 * 128,
    "agent.episodes_per_cycle": 8 * 16,
    "agent.updates_per_cycle": 40,
    "agent.tau": 0.05,
    "agent.action_penalty": 1.0,
    "exploration.epsilon": 0.2,
    "exploration.sigma": 0.05 * 2,
    "max_grad_norm": 0.0,
}


def test_settings():
    check(get_config("paper"), TABLE)
    experiment = app.build(her, get_config("paper"))
    assert experiment.num_steps == 200 * 50 and experiment.task.horizon == 50


def test_the_default_has_the_papers_goals_and_discount():
    keys = ("replay.strategy", "replay.k", "agent.gamma", "agent.tau", "exploration.epsilon")
    check(get_config(), {key: TABLE[key] for key in keys})


def test_possible_returns_and_what_networks_see():
    """Targets within -1 / (1 - gamma) and 0; observations in deviations, clipped to 5."""
    assert her.return_range(0.98) == pytest.approx((-50, 0))

    class Doubled:
        def normalize(self, x):
            return 2 * x

    x = np.array([-9.0, -1.0, 0.5, 7.0])
    np.testing.assert_allclose(her.normalized(Doubled(), x), [-5, -2, 1, 5])
