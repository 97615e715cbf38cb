"""What a line of handwriting says, and in what slant, without a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from research.data.procedural.pen_strokes import evenly

Strokes = Sequence[np.ndarray]

_POINTS = 64  # that a line is compared by
_BAND = 16  # of them, that two lines may run apart


def slant(strokes: Strokes) -> float:
    """How far to the right the pen goes for each unit up: regression over all its steps."""
    steps = np.concatenate([np.diff(stroke, axis=0) for stroke in strokes])
    return float(np.sum(steps[:, 0] * steps[:, 1]) / max(np.sum(steps[:, 1] ** 2), 1e-9))


def most_alike(lines: Sequence[Strokes], candidates: Sequence[Sequence[Strokes]]) -> np.ndarray:
    """Which of its candidates each line looks most like `[N]`.

    The measure is the distance by dynamic time warping between the paths of the pen, both upright,
    of one width and one height.

    Args:
      lines: N lines.
      candidates: C of each.
    """
    ours = np.stack([_path(line) for line in lines])
    theirs = np.stack([[_path(one) for one in group] for group in candidates])
    return np.argmin(warped_distance(ours[:, None], theirs), axis=1)


def warped_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dynamic time warping in a band: `[...]` of paths `[..., P, 2]`, broadcast."""
    cost = np.linalg.norm(a[..., :, None, :] - b[..., None, :, :], axis=-1)
    size = cost.shape[-1]
    total = np.full((size + 1, size + 1, *cost.shape[:-2]), np.inf)
    total[0, 0] = 0.0
    for i in range(size):
        for j in range(max(0, i - _BAND), min(size, i + _BAND + 1)):
            best = np.minimum(np.minimum(total[i, j], total[i, j + 1]), total[i + 1, j])
            total[i + 1, j + 1] = best + cost[..., i, j]
    return total[size, size]


def _path(strokes: Strokes) -> np.ndarray:
    """`_POINTS` points along a line, upright, mean 0 and deviation 1."""
    points = np.concatenate(strokes)
    points = points - [[slant(strokes), 0.0]] * points[:, 1:]
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    path = evenly(points, max(float(steps.sum()), 1e-6) / (_POINTS - 1))
    path = path[np.linspace(0, len(path) - 1, _POINTS).round().astype(int)]
    return (path - path.mean(0)) / np.maximum(path.std(0), 1e-6)
