"""Attention weights as pictures: a panel for each head, queries down, keys across."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PANEL = 0.2  # inches for a token


def draw_attention(
    weights: np.ndarray, queries: Sequence[str], keys: Sequence[str], first_layer: int = 1
) -> np.ndarray:
    """The picture of `plot_attention` as uint8 `[H, W, 3]`; `first_layer` has the number of the
    first of the layers."""
    canvas = _canvas(weights, queries, keys, first_layer)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def plot_attention(
    path: Path | str, weights: np.ndarray, queries: Sequence[str], keys: Sequence[str]
) -> None:
    """Draws the attention of all layers (rows of panels) and heads (columns) for one sentence.

    Args:
      path: PNG to write.
      weights: `[L, H, T, S]`; the first `len(queries)` of T and `len(keys)` of S, which are not
        padding, are drawn.
      queries: label of every row of a panel.
      keys: label of every column.
    """
    _canvas(weights, queries, keys).figure.savefig(path, dpi=120)


def _canvas(
    weights: np.ndarray, queries: Sequence[str], keys: Sequence[str], first_layer: int = 1
) -> FigureCanvasAgg:
    layers, heads = weights.shape[:2]
    size = (heads * (PANEL * len(keys) + 0.3) + 1.5, layers * (PANEL * len(queries) + 1.2))
    figure = Figure(figsize=size, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(layers, heads, squeeze=False, sharex=True, sharey=True)
    for (layer, head), axis in np.ndenumerate(axes):
        shown = weights[layer, head, : len(queries), : len(keys)]
        image = axis.imshow(shown, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
        axis.set_title(f"layer {layer + first_layer}, head {head + 1}", fontsize=9)
        axis.set_xticks(range(len(keys)), keys, rotation=90, fontsize=7)
        axis.set_yticks(range(len(queries)), queries, fontsize=7)
    figure.colorbar(image, ax=axes, shrink=0.5, label="attention weight")
    return canvas
