"""What the encoder keeps of a sentence, in two dimensions (figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def principal_components(states: np.ndarray, count: int = 2) -> np.ndarray:
    """The first principal components `[N, count]` of states `[N, D]`, largest variance first."""
    centered = states - states.mean(axis=0)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    return u[:, :count] * s[:count]


def plot_sentences(path: Path, states: np.ndarray, sentences: Sequence[str]) -> None:
    """Draws each sentence where the encoder's state after it lies.

    Args:
      path: PNG to write.
      states: `[N, D]`, N >= 2.
      sentences: what was read.
    """
    places = principal_components(states)
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.scatter(places[:, 0], places[:, 1], s=14)
    for (x, y), sentence in zip(places, sentences, strict=True):
        axes.annotate(sentence, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=8)
    axes.set(xlabel="first principal component", ylabel="second")
    axes.margins(x=0.25, y=0.1)
    axes.grid(alpha=0.25)
    figure.savefig(path, dpi=120)
