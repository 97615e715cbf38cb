"""Attention weights as pictures: a panel for each head, queries down, keys across."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

PANEL = 0.2  # inches for a token


def draw_attention(
    weights: np.ndarray, queries: Sequence[str], keys: Sequence[str], first_layer: int = 1
) -> np.ndarray:
    """`plot_attention` as a picture, uint8 `[H, W, 3]`."""
    file = io.BytesIO()
    plot_attention(file, weights, queries, keys, first_layer)
    return np.asarray(Image.open(file).convert("RGB"))


def plot_attention(
    path: Path | str | BinaryIO,
    weights: np.ndarray,
    queries: Sequence[str],
    keys: Sequence[str],
    first_layer: int = 1,
) -> None:
    """Draws the attention of all layers (rows of panels) and heads (columns) for one sentence.

    Args:
      path: PNG to write, or an open file.
      weights: `[L, H, T, S]`; the first `len(queries)` of T and `len(keys)` of S, which are not
        padding, are drawn.
      queries: label of every row of a panel.
      keys: label of every column.
      first_layer: number of the first of the layers.
    """
    layers, heads = weights.shape[:2]
    size = (heads * (PANEL * len(keys) + 0.3) + 1.5, layers * (PANEL * len(queries) + 1.2))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(layers, heads, squeeze=False, sharex=True, sharey=True)
    for (layer, head), axis in np.ndenumerate(axes):
        shown = weights[layer, head, : len(queries), : len(keys)]
        image = axis.imshow(shown, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
        axis.set_title(f"layer {layer + first_layer}, head {head + 1}", fontsize=9)
        axis.set_xticks(range(len(keys)), keys, rotation=90, fontsize=7)
        axis.set_yticks(range(len(queries)), queries, fontsize=7)
    figure.colorbar(image, ax=axes, shrink=0.5, label="attention weight")
    figure.savefig(path, dpi=120, format="png")
