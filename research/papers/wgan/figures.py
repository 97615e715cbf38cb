"""The paper's figures: distances between two lines, and estimates beside the quality of samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.signal import medfilt


def draw_distances(
    path: Path, theta: np.ndarray, estimates: np.ndarray, slopes: np.ndarray
) -> None:
    """Draws what a trained critic says of two lines at a distance theta (figure 1).

    Args:
      path: PNG to write.
      theta: distances `[K]`.
      estimates: of the divergence, at each of them.
      slopes: their derivatives, which move a generator.
    """
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(theta, estimates, marker="o")
    left.set(xlabel="distance of the lines", ylabel="estimate")
    right.plot(theta, slopes, marker="o")
    right.set(xlabel="distance of the lines", ylabel="derivative of the estimate")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.axhline(0, color="grey", linewidth=0.8)
    figure.savefig(path, dpi=110)


def draw_tracking(path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draws curves over training, one above the other (figures 3 and 4).

    Estimates are of one batch each: behind their median over seven lies what was measured.

    Args:
      path: PNG to write.
      curves: label to steps `[N]` and values `[N]`.
    """
    figure = Figure(figsize=(5.4, 2.1 * len(curves)), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = np.atleast_1d(figure.subplots(len(curves), 1, sharex=True))
    for axes, (label, (steps, values)) in zip(all_axes, curves.items(), strict=True):
        noisy = len(values) > 60
        if noisy:
            axes.plot(steps, values, alpha=0.3)
        axes.plot(steps, medfilt(values, 7) if noisy else values, color="tab:blue")
        axes.set(ylabel=label)
    all_axes[-1].set(xlabel="updates of the critic")
    figure.savefig(path, dpi=110)
