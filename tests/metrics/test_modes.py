"""Modes that samples cover."""

import numpy as np

from research.metrics.modes import mode_metrics


def test_counts_modes_and_the_samples_at_them():
    modes = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    at = np.repeat(modes[:2], [30, 19], axis=0) + [0.03, 0]
    lost = np.full((11, 2), 0.5)
    found = mode_metrics(np.concatenate([at, lost]), modes, 0.01)
    assert found == {"covered": 1.0, "high_quality": 49 / 60}
    assert mode_metrics(at, modes, 0.01, reach=2.9)["covered"] == 0
    assert mode_metrics(at, modes, 0.01, min_count=19)["covered"] == 2
