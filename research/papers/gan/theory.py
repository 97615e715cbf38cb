"""What the game comes to where both densities are known (section 4).

Source: Goodfellow et al. 2014, arXiv:1406.2661, proposition 1 and theorem 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Density = Callable[[np.ndarray], np.ndarray]
GRID = np.linspace(-12.0, 12.0, 24_001)


def normal(mean: float, deviation: float) -> Density:
    """The density of a Gaussian."""
    scale = deviation * math.sqrt(2 * math.pi)
    return lambda x: np.exp(-0.5 * ((x - mean) / deviation) ** 2) / scale


def optimal_discriminator(p: Density, q: Density, x: np.ndarray) -> np.ndarray:
    """D*(x) = p(x) / (p(x) + q(x)), p the density of data and q that of samples (equation 2)."""
    return p(x) / (p(x) + q(x))


def jensen_shannon(p: Density, q: Density) -> float:
    """The Jensen-Shannon divergence of two densities on the line, in nats, by quadrature."""
    a, b = p(GRID), q(GRID)
    mean = (a + b) / 2
    # 0 log 0 = 0, where a density has vanished.
    terms = [np.where(d > 0, d * np.log(np.where(d > 0, d, 1) / mean), 0.0) for d in (a, b)]
    return float(np.trapezoid(terms[0] + terms[1], GRID) / 2)


def virtual_criterion(p: Density, q: Density) -> float:
    """C(G) = -log 4 + 2 JSD(p || q) (theorem 1): the game's value at the best discriminator."""
    return -math.log(4) + 2 * jensen_shannon(p, q)
