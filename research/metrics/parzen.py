"""Log-likelihood under a window of Gaussians around samples (Breuleux et al. 2011), in nats.

The measure of Goodfellow et al. 2014, arXiv:1406.2661, section 5. In many dimensions it says little
of how good samples are, and depends on their number: compare numbers of equally many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from research.metrics.fid import squared_distances

_CHUNK = 200


def log_likelihoods(data: np.ndarray, samples: np.ndarray, sigma: float) -> np.ndarray:
    """log p(x) `[N]` of data `[N, D]`, p the mean of N(s, sigma^2 I) over samples s `[M, D]`."""
    constant = math.log(len(samples)) + data.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))
    found = []
    for start in range(0, len(data), _CHUNK):
        exponents = -squared_distances(data[start : start + _CHUNK], samples) / (2 * sigma**2)
        largest = exponents.max(1, keepdims=True)
        found.append(np.log(np.exp(exponents - largest).sum(1)) + largest[:, 0])
    return np.concatenate(found) - constant


def parzen(
    samples: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    sigmas: Sequence[float] = tuple(np.logspace(-1, 0, 10)),
) -> dict[str, float]:
    """Mean log-likelihood of test data, the window's width chosen on validation data.

    Args:
      samples: `[M, D]`, pixels in 0 to 1.
      validation, test: `[N, D]`.
      sigmas: widths that are tried.

    Returns:
      "log_likelihood" with its standard error "error", and the "sigma" that was chosen.
    """
    means = [log_likelihoods(validation, samples, sigma).mean() for sigma in sigmas]
    sigma = sigmas[int(np.argmax(means))]
    found = log_likelihoods(test, samples, sigma)
    return {
        "log_likelihood": float(found.mean()),
        "error": float(found.std(ddof=1) / math.sqrt(len(found))),
        "sigma": float(sigma),
    }
