"""Distances between a set of samples and a set of data, on given features (NumPy, float64).

Frechet distance: Heusel et al. 2017, arXiv:1706.08500; its limit for many samples: Chong and
Forsyth 2020, arXiv:1911.07023. Kernel distance: Binkowski et al. 2018, arXiv:1801.01401. Inception
score: Salimans et al. 2016, arXiv:1606.03498.

The features decide what a number means. On any network but Inception (TensorFlow, 2015) a result is
not comparable with published ones; `features.metric_name` puts the network into the name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[d]` and covariance `[d, d]` (denominator n - 1) of features `[N, d]`.

    Raises:
      ValueError: N <= d, where the covariance is singular.
    """
    num, dim = features.shape
    if num <= dim:
        raise ValueError(f"{num} samples for {dim} features: the covariance would be singular")
    features = features.astype(np.float64)
    return features.mean(0), np.cov(features, rowvar=False).reshape(dim, dim)


def _root(c: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(c)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def frechet_distance(
    mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray
) -> float:
    """|mu1 - mu2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    The trace of the root is taken as the sum of the roots of the eigenvalues of
    C1^(1/2) C2 C1^(1/2), which is symmetric: no complex numbers, and singular matrices (dead
    features) need no special care.
    """
    root = _root(cov1)
    values = np.linalg.eigvalsh(root @ cov2 @ root)
    trace = np.trace(cov1) + np.trace(cov2) - 2 * np.sqrt(np.clip(values, 0, None)).sum()
    return float(((mean1 - mean2) ** 2).sum() + trace)


def fid(features1: np.ndarray, features2: np.ndarray) -> float:
    """`frechet_distance` between the moments of features `[N, d]` and `[M, d]`.

    Biased upwards by about 1/N: compare only numbers of equal N and M, or `fid_infinity`.
    """
    return frechet_distance(*moments(features1), *moments(features2))


def fid_by_size(
    features1: np.ndarray, features2: np.ndarray, sizes: Sequence[int], *, seed: int = 0
) -> dict[int, float]:
    """`fid` of random parts of both sets, as many rows of each: number of rows -> distance.

    Args:
      features1, features2: `[N, d]` and `[M, d]`.
      sizes: numbers of rows, above d, and N and M at most.
    """
    rng = np.random.default_rng(seed)
    return {
        size: fid(
            features1[rng.choice(len(features1), size, replace=False)],
            features2[rng.choice(len(features2), size, replace=False)],
        )
        for size in sizes
    }


def fid_infinity(
    features1: np.ndarray,
    features2: np.ndarray,
    *,
    smallest: int,
    num_points: int = 15,
    seed: int = 0,
) -> float:
    """The distance that `fid` comes to for ever more rows: a line over 1/N, where it meets 0.

    Departure: parts are taken of both sets, which are both finite; Chong and Forsyth keep the
    moments of the data as they are.

    Args:
      features1, features2: `[N, d]` and `[M, d]`.
      smallest: rows of the smallest part, above d; the others are evenly spaced up to all rows.
      num_points: parts.
    """
    largest = min(len(features1), len(features2))
    sizes = np.unique(np.linspace(smallest, largest, num_points).astype(int))
    found = fid_by_size(features1, features2, sizes.tolist(), seed=seed)
    return float(np.polyfit(1 / sizes, list(found.values()), 1)[1])


def kid(
    features1: np.ndarray,
    features2: np.ndarray,
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Unbiased MMD^2 with the kernel (x.y / d + 1)^3, mean and std over random subsets.

    The mean is 0 for equal distributions and may be slightly negative.

    Args:
      features1, features2: `[N, d]` and `[M, d]`, at least `subset_size` each.

    Raises:
      ValueError: a set is smaller than a subset.
    """
    if min(len(features1), len(features2)) < subset_size:
        raise ValueError(
            f"subset_size {subset_size} exceeds the sets' {len(features1)} and {len(features2)}"
        )
    rng = np.random.default_rng(seed)
    values = [
        polynomial_mmd(
            features1[rng.choice(len(features1), subset_size, replace=False)],
            features2[rng.choice(len(features2), subset_size, replace=False)],
        )
        for _ in range(num_subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def polynomial_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate of MMD^2 between x `[n, d]` and y `[m, d]`, kernel (x.y / d + 1)^3."""
    x, y = x.astype(np.float64), y.astype(np.float64)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / x.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        k = kernel(a, a)
        return (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def inception_score(
    probs: np.ndarray, *, num_splits: int = 10, seed: int = 0
) -> tuple[float, float]:
    """exp(mean_x KL(p(y|x) || p(y))) of class probabilities `[N, K]`: mean and std over splits.

    Published scores are of 50,000 samples in ten splits, by order. Samples are shuffled first:
    splits of class-sorted samples would each see few classes and score lower.
    """
    probs = np.random.default_rng(seed).permutation(probs.astype(np.float64))
    scores = []
    edges = [i * len(probs) // num_splits for i in range(num_splits + 1)]
    for start, stop in zip(edges, edges[1:], strict=False):
        part = probs[start:stop]
        marginal = part.mean(0)
        # 0 log 0 = 0; where the marginal is 0 so is every row.
        ratio = np.log(np.where(part > 0, part, 1)) - np.log(np.where(marginal > 0, marginal, 1))
        scores.append(np.exp((part * ratio).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
