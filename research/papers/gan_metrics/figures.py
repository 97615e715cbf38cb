"""Curves of metrics over the strength of a disturbance, and over the number of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from research.viz.image_grids import as_rgb, grid

_SHOWN = (("FID",), ("IS",), ("precision", "recall"))  # a row of axes for each


def draw_disturbances(
    path: Path,
    strengths: Mapping[str, Sequence[float]],
    found: Mapping[str, Sequence[Mapping[str, float]]],
    examples: Mapping[str, np.ndarray],
) -> None:
    """Draws what every metric says of images that are disturbed more and more.

    Args:
      path: PNG to write.
      strengths: of each disturbance, from 0 on.
      found: metrics by name, of each strength of each disturbance.
      examples: one image at each strength, `[S, H, W, C]` in [-1, 1].
    """
    figure = Figure(figsize=(2.6 * len(strengths), 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    rows = 1 + len(_SHOWN)
    heights = [0.45, *[1] * len(_SHOWN)]
    all_axes = figure.subplots(rows, len(strengths), squeeze=False, height_ratios=heights)
    for column, (name, values) in enumerate(strengths.items()):
        picture, *axes = all_axes[:, column]
        picture.imshow(as_rgb(grid(examples[name], 1)), interpolation="nearest")
        picture.set_axis_off()
        picture.set_title(name.replace("_", " "))
        for ax, metrics in zip(axes, _SHOWN, strict=True):
            curves = {metric: [m[metric] for m in found[name]] for metric in metrics}
            for metric, curve in curves.items():
                ax.plot(values, curve, marker="o", label=metric)
            ax.set_ylim(0, 1.05 * max(max(curve) for curve in curves.values()))
            ax.grid(alpha=0.25)
            if column == 0:
                ax.set_ylabel(" and ".join(metrics))
            if len(metrics) > 1 and column == 0:
                ax.legend(frameon=False)
        axes[-1].set_xlabel("strength")
    figure.savefig(path, dpi=100)


def draw_bias(
    path: Path,
    sizes: Sequence[int],
    distances: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    limit: float,
) -> None:
    """Draws distances of two samples of the same images over one over their number.

    Args:
      path: PNG to write.
      sizes: numbers of images.
      distances: "FID" and "KID" at each of them, means of several draws.
      errors: their standard errors.
      limit: what the line of FID comes to for ever more images.
    """
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    inverse = 1 / np.array(sizes)
    for ax, (name, values) in zip(figure.subplots(1, 2), distances.items(), strict=True):
        ax.errorbar(inverse, values, errors[name], marker="o", capsize=3)
        if name == "FID":
            slope = np.polyfit(inverse, values, 1)
            ends = np.array([0, inverse.max()])
            ax.plot(ends, np.polyval(slope, ends), color="grey", linestyle=":")
            ax.plot([0], [limit], marker="x", color="tab:red", clip_on=False)
        ax.axhline(0, color="grey", linewidth=0.8)
        ax.set(xlabel="1 / number of images", ylabel=f"{name} of the same images")
        ax.set_xlim(0, None)
    figure.savefig(path, dpi=110)
