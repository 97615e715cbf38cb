"""Two parallel lines, whose distance is known (example 1, figure 1).

Source: Arjovsky et al. 2017, arXiv:1701.07875, section 2. P_0 is uniform on {0} x [0, 1], P_theta
on {theta} x [0, 1]. Their Wasserstein distance is |theta|; their Jensen-Shannon divergence is log 2
wherever theta is not 0, and says nothing of how far they are apart.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from research.metrics.rank_correlation import rank_correlation

THETAS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)


def line(theta: jax.Array, z: jax.Array) -> jax.Array:
    """Points (theta, z) `[B, 2]` of z `[B]`: the generator g_theta."""
    return jnp.stack([jnp.full_like(z, 1.0) * theta, z], -1)


class Shift(nn.Module):
    """g_theta as a network whose one parameter is theta.

    Attributes:
      start: theta before training.
    """

    start: float

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Points `[B, 2]` of z `[B, 1]`, and no maps."""
        del train
        theta = self.param("theta", nn.initializers.constant(self.start), ())
        return line(theta, z[:, 0]), {}


def numbers(estimates: np.ndarray, slopes: np.ndarray) -> dict[str, float]:
    """What the estimates at `THETAS` are measured by.

    Args:
      estimates: of the distance, or divergence, `[6]`.
      slopes: absolute gradient of the generator's loss by theta `[6]`.

    Returns:
      Both by theta; "rank_correlation" of the estimate and theta; "ratio_spread", the largest of
      estimate / theta over the least, for theta up to 1/2; the "least_slope" and "largest_slope".
    """
    near = np.array(THETAS) <= 0.5
    ratios = estimates[near] / np.array(THETAS)[near]
    spread = ratios.max() / ratios.min() if ratios.min() > 0 else 1e6
    found = {f"estimate_{theta:g}": e for theta, e in zip(THETAS, estimates, strict=True)}
    found |= {f"slope_{theta:g}": s for theta, s in zip(THETAS, slopes, strict=True)}
    found |= {
        "rank_correlation": rank_correlation(estimates, np.array(THETAS)),
        "ratio_spread": min(spread, 1e6),
        "least_slope": slopes.min(),
        "largest_slope": slopes.max(),
    }
    return {name: float(value) for name, value in found.items()}


def draw(path: Path | str, estimates: np.ndarray, slopes: np.ndarray) -> None:
    """Draws estimate and gradient over theta (figure 1)."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(THETAS, estimates, marker="o")
    left.set(xlabel="theta", ylabel="estimate", title="the critic's estimate")
    right.loglog(THETAS, np.maximum(slopes, 1e-12), marker="o")
    right.set(xlabel="theta", ylabel="|gradient by theta|", title="what the generator learns from")
    figure.savefig(path, dpi=110)
