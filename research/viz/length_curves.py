"""A score against the length of what it is about, such as BLEU by the words of a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot_by_length(
    path: Path | str, arms: Mapping[str, Mapping[int, float | Sequence[float]]], x: str, y: str
) -> None:
    """Draws a line for each arm: the median over its seeds, with a band over their range.

    Args:
      path: PNG to write.
      arms: arm -> upper end of a range of lengths -> score, or scores of several seeds.
      x, y: labels.
    """
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for arm, scores in arms.items():
        edges = sorted(scores)
        values = np.array([np.atleast_1d(scores[edge]) for edge in edges], float)
        (line,) = axes.plot(edges, np.median(values, axis=1), marker="o", label=arm)
        axes.fill_between(
            edges, values.min(axis=1), values.max(axis=1), color=line.get_color(), alpha=0.18
        )
    axes.set(xlabel=x, ylabel=y, ylim=(0, None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
