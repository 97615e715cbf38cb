"""Tasks with goals as pictures, drawn from their observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from research.papers.her.bit_flipping import BitFlipping
from research.papers.her.point_mass import CONTACT, TABLE, Push, Reach
from research.viz.game_frames import INK, SOFT, WARM, Canvas

_GOAL = (0, 158, 115)


def painter(task: Any) -> Callable[[np.ndarray], np.ndarray]:
    """How observations `[D]` of a task become frames uint8 `[H, W, 3]`."""
    match task:
        case BitFlipping():
            return lambda x: _bits(x, task.num_bits)
        case Push():
            return lambda x: _table(
                gripper=x[:2], goal=x[6:8], tolerance=task.tolerance, puck=x[2:4]
            )
        case Reach():
            return lambda x: _table(gripper=x[:2], goal=x[2:4], tolerance=task.tolerance)
    raise TypeError(f"nobody has drawn {type(task).__name__}")


def _bits(x: np.ndarray, count: int) -> np.ndarray:
    """The bits above, the goal's below; a bit that is not as the goal has it is warm."""
    canvas = Canvas()
    width = 1.8 / count
    for row, bits in ((0.15, x[:count]), (-0.65, x[count:])):
        for i, bit in enumerate(bits):
            left = -0.9 + i * width
            right = bool(x[i] == x[count + i]) or row < 0
            on = INK if right else WARM
            low, high = (left + 0.1 * width, row), (left + 0.9 * width, row + 0.5)
            canvas.box(low, high, on if bit else SOFT)
            if not bit and not right:
                canvas.box((low[0], low[1]), (high[0], low[1] + 0.06), WARM)
    return canvas.frame()


def _table(
    *, gripper: np.ndarray, goal: np.ndarray, tolerance: float, puck: np.ndarray | None = None
) -> np.ndarray:
    """The table from above: a ring where the goal is met, the puck, the gripper."""

    def at(place: np.ndarray) -> tuple[float, float]:
        return float(place[0]) / TABLE * 0.9, float(place[1]) / TABLE * 0.9

    canvas = Canvas()
    canvas.box((-0.95, -0.95), (0.95, 0.95), SOFT)
    canvas.box((-0.92, -0.92), (0.92, 0.92), (250, 250, 248))
    canvas.ring(at(goal), max(tolerance / TABLE * 0.9, 0.06), _GOAL)
    radius = CONTACT / 2 / TABLE * 0.9
    if puck is not None:
        canvas.disc(at(puck), radius, INK)
    canvas.disc(at(gripper), radius, WARM)
    return canvas.frame()
