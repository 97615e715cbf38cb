"""Layer responses over depth: figure 7 of He et al., 2015."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402


def save_responses(folder: Path, deviations: Mapping[str, float]) -> None:
    """Writes `responses.json`, and `responses.png` with the other arms' that are there already.

    Args:
      folder: of one run, `<workdir>/<arm>/<seed>`; the other arms' runs of this seed lie beside it.
      deviations: `{layer: standard deviation}`, from the input to the output.
    """
    (folder / "responses.json").write_text(json.dumps(deviations, indent=1))
    found = sorted(folder.parent.parent.glob(f"*/{folder.name}/responses.json"))
    networks = {path.parent.parent.name: json.loads(path.read_text()) for path in found}
    draw_responses(folder / "responses.png", networks)


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
    panels[0].set(xlabel="layer", title="Layer responses")
    panels[1].set(xlabel="layer, by size of the response")
    for axes in panels:
        axes.set_ylabel("standard deviation")
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
