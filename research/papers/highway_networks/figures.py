"""Gates and lesions over depth: figures 2 and 4 of Training Very Deep Networks (2015)."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


def gate_map(gates: np.ndarray) -> np.ndarray:
    """A picture of gates `[L, W]` in 0 to 1, a row a layer, bright where they are open: uint8."""
    levels = (255 * np.clip(gates, 0, 1)).astype(np.uint8)
    return levels.repeat(8, 0).repeat(8, 1)


def draw_layers(path: Path, gates: np.ndarray, errors: np.ndarray, whole: float) -> None:
    """Draws what the trained layers do.

    Args:
      path: PNG to write.
      gates: `[L, W]`, mean transform gate of each layer and unit.
      errors: `[L]`, training error in percent without each of the layers.
      whole: training error in percent with all of them.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    shown = left.imshow(gates, aspect="auto", cmap="viridis", vmin=0, interpolation="nearest")
    left.set(xlabel="unit", ylabel="layer", title="mean transform gate T")
    figure.colorbar(shown, ax=left)
    layers = np.arange(1, len(errors) + 1)
    right.plot(layers, errors, marker=".", linewidth=1.2, label="without this layer")
    right.axhline(whole, color="black", linewidth=1, linestyle="--", label="whole network")
    right.set(xlabel="layer", ylabel="training error, %", title="one layer removed")
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
