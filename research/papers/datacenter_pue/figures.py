"""Figures: predicted against measured, and what each input does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from research.data.tables import Kept, Table

_COLUMNS = 4


def draw_predictions(
    path: Path, table: Table, rows: np.ndarray, mean: np.ndarray, deviation: np.ndarray
) -> None:
    """Draws measured and predicted values over time, and their difference below.

    Args:
      path: PNG to write.
      table: that the rows are of.
      rows: indices `[N]` of test rows, in time.
      mean, deviation: over the networks, `[N]`.
    """
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    measured, place = table.targets[rows], np.arange(len(rows))
    above.plot(place, measured, ".", markersize=3, color="0.35", label="measured")
    above.plot(place, mean, color="tab:orange", linewidth=1, label="predicted")
    above.set_ylabel(table.target)
    above.legend(frameon=False)
    error = measured - mean
    below.fill_between(place, -1.96 * deviation, 1.96 * deviation, color="tab:orange", alpha=0.3)
    below.plot(place, error, ".", markersize=3, color="0.35")
    below.axhline(0, color="0.6", linewidth=0.8)
    below.set(ylabel="error", xlabel="test rows in time; the band: how far the networks differ")
    for axes in (above, below):
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=120)


def draw_sensitivities(
    path: Path, kept: Kept, predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> None:
    """Draws the prediction as each input moves alone from two moments (the paper's figure 4).

    Args:
      path: PNG to write.
      kept: what a run keeps of its table.
      predict: inputs `[N, D]` to mean and deviation `[N]`.
    """
    num_rows = -(-len(kept.names) // _COLUMNS)
    figure = Figure(figsize=(2.4 * _COLUMNS, 1.9 * num_rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(num_rows, _COLUMNS, sharey=True, squeeze=False).ravel()
    for i, name in enumerate(kept.names):
        low_end, high_end = kept.ends[:, i]
        values = np.linspace(low_end, high_end, 41)
        for moment, colour in zip(kept.moments, ("tab:blue", "tab:orange"), strict=True):
            rows = np.repeat(kept.moments[moment][None], len(values), axis=0)
            here = rows[0, i]
            rows[:, i] = values
            mean, deviation = predict(rows)
            low, high = mean - 1.96 * deviation, mean + 1.96 * deviation
            panels[i].plot(values, mean, color=colour, label=moment)
            panels[i].fill_between(values, low, high, color=colour, alpha=0.2, linewidth=0)
            panels[i].axvline(here, color=colour, linewidth=0.8, linestyle=":")
        panels[i].set_title(name.replace("_", " "), fontsize=8)
        panels[i].tick_params(labelsize=7)
        panels[i].grid(alpha=0.25)
    for panel in panels[len(kept.names) :]:
        panel.set_visible(False)
    figure.supylabel(kept.target, fontsize=9)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=110)
