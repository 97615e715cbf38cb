"""Where samples and data lie among each other, by balls around points (NumPy, float64).

A set's manifold is the union of balls around its points, each reaching to the point's k-th nearest
other point of the set. Precision, recall and realism: Kynkaanniemi et al. 2019, arXiv:1904.06991.
Density and coverage: Naeem et al. 2020, arXiv:2002.09797. Distances are made a chunk of rows at a
time, so that 50,000 points fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from research.metrics.neighbours import squared_distances

_CHUNK = 1024


def squared_radii(features: np.ndarray, k: int) -> np.ndarray:
    """Squared distance `[N]` of each point to its k-th nearest neighbour, itself left out.

    Raises:
      ValueError: there are not k others.
    """
    if len(features) <= k:
        raise ValueError(f"{len(features)} points have no neighbour number {k}")
    radii = []
    for rows, distances in _by_chunk(features, features):
        distances[np.arange(len(distances)), rows] = 0  # a point is at itself, without rounding
        radii.append(np.partition(distances, k, axis=1)[:, k])  # index 0 is the point itself
    return np.concatenate(radii)


def precision_recall(real: np.ndarray, fake: np.ndarray, *, k: int = 3) -> tuple[float, float]:
    """Share of samples inside the data's manifold, and of data inside the samples' (section 2).

    Args:
      real, fake: features `[N, d]` and `[M, d]`.
    """
    real_radii, fake_radii = squared_radii(real, k), squared_radii(fake, k)
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, between in _by_chunk(real, fake):
        precise |= (between <= real_radii[rows, None]).any(0)
        recalled[rows] = (between <= fake_radii[None]).any(1)
    return float(precise.mean()), float(recalled.mean())


def density_coverage(real: np.ndarray, fake: np.ndarray, *, k: int = 5) -> tuple[float, float]:
    """How many of the data's balls a sample is in over k, and the share of balls with a sample.

    Unlike precision, density does not take one outlier's large ball for the data's manifold; it may
    exceed 1. Coverage counts data, whose balls do not depend on the samples. Both are 1 of a set
    and itself: a ball's rim does not belong to it, as in the released code.

    Args:
      real, fake: features `[N, d]` and `[M, d]`.
    """
    radii = squared_radii(real, k)
    inside, covered = 0, np.zeros(len(real), bool)
    for rows, between in _by_chunk(real, fake):
        contained = between < radii[rows, None]
        inside += contained.sum()
        covered[rows] = contained.any(1)
    return float(inside / (k * len(fake))), float(covered.mean())


def realism(real: np.ndarray, fake: np.ndarray, *, k: int = 3) -> np.ndarray:
    """Realism score `[M]` of single samples: the largest of r_i / d(x, x_i) over data (equation 3).

    A sample in a ball has 1 or more. The half of the balls with the largest radii is left out: they
    lie where data is sparse, and everything would seem real in them.

    Args:
      real, fake: features `[N, d]` and `[M, d]`.
    """
    radii = squared_radii(real, k)
    kept = radii <= np.median(radii)
    scores = []
    for _, distances in _by_chunk(fake, real[kept]):
        scores.append(np.sqrt((radii[kept] / np.maximum(distances, 1e-20)).max(1)))
    return np.concatenate(scores)


def _by_chunk(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices of some rows of x, and their squared distances to all rows of y."""
    for start in range(0, len(x), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(x)))
        yield rows, squared_distances(x[rows], y)
