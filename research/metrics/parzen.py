"""Log-likelihood of data under a Parzen window over samples (NumPy, float64).

A Gaussian is put on every sample of a model, all of one deviation sigma, which is chosen on
held-out data; the mixture's log density of test data measures the samples. Source: Breuleux,
Bengio, Vincent 2011, "Quickly generating representative samples from an RBM-derived process"; as
used by Goodfellow et al. 2014, arXiv:1406.2661, section 5, and its released `parzen_ll.py`.

The estimate has a high variance and does badly in many dimensions (section 5), and it can rank
models wrongly (Theis et al. 2015, arXiv:1511.01844): compare only estimates by as many samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from research.metrics.neighbours import squared_distances

SIGMAS = np.logspace(-1, 0, 10)  # of the released code, for pixels in 0 to 1
_CHUNK = 100


class Estimate(NamedTuple):
    """What samples are worth, in nats.

    Attributes:
      mean: log-likelihood of the test data.
      standard_error: of that mean, by the test data.
      validation: mean log-likelihood of the data that sigma was chosen on.
      sigma: deviation of every Gaussian.
    """

    mean: float
    standard_error: float
    validation: float
    sigma: float


def log_likelihoods(x: np.ndarray, samples: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """log 1/M sum_m N(x; sample_m, sigma^2 I) for every sigma: float64 `[S, N]`.

    Args:
      x: `[N, ...]`, flattened to vectors.
      samples: `[M, ...]`, of the same trailing shape.
      sigmas: `[S]`.
    """
    x, samples = x.reshape(len(x), -1), samples.reshape(len(samples), -1)
    constants = [x.shape[1] * np.log(sigma * np.sqrt(2 * np.pi)) for sigma in sigmas]
    found = np.empty((len(sigmas), len(x)))
    for start in range(0, len(x), _CHUNK):
        rows = slice(start, start + _CHUNK)
        squares = squared_distances(x[rows], samples)
        for row, sigma, constant in zip(found, sigmas, constants, strict=True):
            row[rows] = _log_mean_exp(-squares / (2 * sigma**2)) - constant
    return found


def estimate(
    samples: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    sigmas: Sequence[float] = tuple(SIGMAS),
) -> Estimate:
    """The test data's log-likelihood, with the sigma under which the validation data's is highest.

    Args:
      samples: `[M, ...]` of the model.
      validation, test: `[V, ...]` and `[N, ...]`.
      sigmas: that are tried.
    """
    tried = log_likelihoods(validation, samples, sigmas).mean(1)
    best = int(tried.argmax())
    (found,) = log_likelihoods(test, samples, [sigmas[best]])
    return Estimate(
        mean=float(found.mean()),
        standard_error=float(found.std() / np.sqrt(len(found))),
        validation=float(tried[best]),
        sigma=float(sigmas[best]),
    )


def _log_mean_exp(a: np.ndarray) -> np.ndarray:
    """log of the mean of exp `[N]` over the last axis of `[N, M]`."""
    highest = a.max(1)
    return highest + np.log(np.exp(a - highest[:, None]).mean(1))
