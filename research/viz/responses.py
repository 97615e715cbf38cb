"""Layer responses over depth: figure 7 of He et al., 2015."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


def draw_responses(path: Path, networks: Mapping[str, Mapping[str, float]]) -> None:
    """Standard deviation of each layer's response, in the order of the layers and sorted.

    Args:
      path: PNG to write.
      networks: for each network `{layer: standard deviation}`, from the input to the output.
    """
    figure, panels = plt.subplots(2, 1, figsize=(7, 5.5), layout="constrained")
    for name, deviations in networks.items():
        values = list(deviations.values())
        layers = range(1, len(values) + 1)
        panels[0].plot(layers, values, label=name, marker=".", linewidth=1.2)
        panels[1].plot(layers, sorted(values, reverse=True), label=name, linewidth=1.8)
    panels[0].set(xlabel="layer", ylabel="standard deviation", title="Layer responses")
    panels[1].set(xlabel="layer, by size of the response", ylabel="standard deviation")
    for axes in panels:
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
