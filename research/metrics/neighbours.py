"""Has a generator learnt its training images by heart? Nearest neighbours say."""

from __future__ import annotations

import numpy as np

from research.metrics.fid import squared_distances

_CHUNK = 256


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
