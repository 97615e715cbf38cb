"""Figure 4: what correcting the bias is worth, by rate and decays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# (b1, b2, corrected) -> rate -> loss.
Losses = Mapping[tuple[float, float, bool], Mapping[float, float]]


def draw_correction(path: Path, columns: Mapping[str, Losses], highest: float) -> None:
    """Draws losses over rates: a row of panels for each b1, a column for each b2 and each time.

    Args:
      path: PNG to write.
      columns: when -> the losses then.
      highest: what is above it, or not finite, is drawn at the upper edge.
    """
    settings = list(next(iter(columns.values())))
    b1s, b2s = ([*dict.fromkeys(setting[i] for setting in settings)] for i in (0, 1))
    figure = Figure(
        figsize=(2.1 * len(b2s) * len(columns), 2.1 * len(b1s) + 0.4), layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        len(b1s), len(b2s) * len(columns), sharex=True, sharey=True, squeeze=False
    )
    lowest = np.inf
    for n, (when, losses) in enumerate(columns.items()):
        for (b1, b2, corrected), by_rate in losses.items():
            axes = panels[b1s.index(b1), n * len(b2s) + b2s.index(b2)]
            rates = np.array(sorted(by_rate))
            values = np.nan_to_num([by_rate[rate] for rate in rates], nan=highest, posinf=highest)
            lowest = min(lowest, values.min())
            axes.plot(
                rates,
                np.minimum(values, highest),
                marker="o",
                markersize=3,
                color="tab:red" if corrected else "tab:green",
                label="corrected" if corrected else "not corrected",
            )
            axes.set_title(f"{when}\nb1 {b1:g}, b2 {b2:g}", fontsize=8)
    for axes in panels.flat:
        axes.set_xscale("log")
        axes.set_ylim(lowest - 0.04 * (highest - lowest), highest)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("alpha", fontsize=8)
    for axes in panels[:, 0]:
        axes.set_ylabel("loss, nats", fontsize=8)
    panels[0, 0].legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)
