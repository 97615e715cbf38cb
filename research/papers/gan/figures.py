"""The paper's figure 1: densities of data and samples, and what a discriminator makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_discriminator(
    path: Path,
    x: np.ndarray,
    data: np.ndarray,
    samples: np.ndarray,
    optimum: np.ndarray,
    found: np.ndarray,
) -> None:
    """Draws a discriminator beside the best that there is (proposition 1).

    Args:
      path: PNG to write.
      x: places `[N]`.
      data, samples: densities there.
      optimum: D*(x).
      found: D(x) of a trained discriminator.
    """
    figure = Figure(figsize=(5.6, 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(x, data, color="black", linestyle=":", label="density of data, p")
    axes.plot(x, samples, color="tab:green", label="density of samples, q")
    axes.plot(x, optimum, color="tab:orange", linewidth=4, alpha=0.5, label="p / (p + q)")
    axes.plot(x, found, color="tab:blue", linestyle="--", label="D, trained")
    axes.set(xlabel="x", ylim=(-0.02, 1.15))
    axes.legend(ncols=2, fontsize="small", loc="upper right")
    figure.savefig(path, dpi=110)
