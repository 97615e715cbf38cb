"""Nearest neighbours of vectors; has a generator learnt its training images by heart?"""

from __future__ import annotations

import numpy as np

_CHUNK = 256


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances `[N, M]` between rows `[N, d]` and `[M, d]`."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.clip((x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T, 0, None)


def nearest(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index `[N]` of each query's nearest reference, and its Euclidean distance `[N]`.

    Args:
      queries: `[N, ...]`, flattened to vectors.
      references: `[M, ...]`, of the same trailing shape.
    """
    x, y = queries.reshape(len(queries), -1), references.reshape(len(references), -1)
    index, distance = [], []
    for start in range(0, len(x), _CHUNK):
        d = squared_distances(x[start : start + _CHUNK], y)
        index.append(d.argmin(1))
        distance.append(np.sqrt(d.min(1)))
    return np.concatenate(index), np.concatenate(distance)


def memorisation_ratio(samples: np.ndarray, held_out: np.ndarray, train: np.ndarray) -> float:
    """Median distance from samples to the training set, over that from held-out data to it.

    About 1 or more: samples are no closer to the training images than new data is. Near 0: copies.
    """
    _, sampled = nearest(samples, train)
    _, fresh = nearest(held_out, train)
    return float(np.median(sampled) / np.median(fresh))
