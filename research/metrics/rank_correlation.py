"""How far two series go up and down together."""

from __future__ import annotations

import numpy as np


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's correlation of x `[N]` and y `[N]`: 1 if they have one order, -1 if opposite.

    Equal values share the mean of their ranks. A series that never changes has no order: 0.
    """
    by_x, by_y = _ranks(np.asarray(x, np.float64)), _ranks(np.asarray(y, np.float64))
    if np.ptp(by_x) == 0 or np.ptp(by_y) == 0:
        return 0.0
    return float(np.corrcoef(by_x, by_y)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    below = (values[None] < values[:, None]).sum(1)
    equal = (values[None] == values[:, None]).sum(1)
    return below + (equal - 1) / 2
