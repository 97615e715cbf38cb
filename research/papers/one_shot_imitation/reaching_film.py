"""Particle reaching as a film: on the left what was demonstrated, on the right what was done."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from research.viz.films import side_by_side
from research.viz.game_frames import INK, PALETTE, SOFT, Canvas


def film_frames(episodes: Sequence[np.ndarray], target: int) -> np.ndarray:
    """Frames uint8 `[T, H, W, 3]` of episodes side by side; the shorter ones stay at their last.

    Args:
      episodes: observations `[T, 2 + 3 L]` of `particle_reaching`.
      target: the landmark that is the task; it has a ring, which the policy does not see.
    """
    films = [np.stack([_frame(x[: t + 1], target) for t in range(len(x))]) for x in episodes]
    return side_by_side(films)


def _frame(steps: np.ndarray, target: int) -> np.ndarray:
    """The landmarks, and the way so far."""

    def at(place: np.ndarray) -> tuple[float, float]:
        return 0.9 * float(place[0]), 0.9 * float(place[1])

    canvas = Canvas()
    canvas.line([(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)], SOFT, 0.02)
    for i, (present, *place) in enumerate(steps[-1, 2:].reshape(-1, 3)):
        if present:
            colour = tuple(int(c) for c in PALETTE[1 + i % (len(PALETTE) - 1)])
            canvas.disc(at(np.asarray(place)), 0.09, colour)  # type: ignore[arg-type]
            if i == target:
                canvas.ring(at(np.asarray(place)), 0.14, INK)
    way = [at(step[:2]) for step in steps]
    if len(way) > 1:
        canvas.line(way, INK, 0.02)
    canvas.disc(way[-1], 0.06, INK)
    return canvas.frame()
