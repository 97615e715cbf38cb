"""How samples cover a mixture of Gaussians whose modes are known."""

from __future__ import annotations

import numpy as np


def mode_metrics(
    samples: np.ndarray,
    modes: np.ndarray,
    deviation: float,
    *,
    reach: float = 4.0,
    min_count: int = 20,
) -> dict[str, float]:
    """Counts the modes that samples are found at, and the samples that are at one.

    Args:
      samples: `[N, D]`.
      modes: centres `[M, D]`.
      deviation: of each Gaussian.
      reach: a sample within so many deviations of a mode is at it.
      min_count: samples at a mode for it to be covered.

    Returns:
      "covered": number of modes; "high_quality": share of the samples that are at a mode.
    """
    distances = np.linalg.norm(samples[:, None] - modes[None], axis=-1)
    at = distances.min(1) <= reach * deviation
    counts = np.bincount(distances.argmin(1)[at], minlength=len(modes))
    return {"covered": float((counts >= min_count).sum()), "high_quality": float(at.mean())}
