"""Pictures of gates and of closing brackets, after those of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

from research.papers.char_rnn.cells import saturation  # noqa: E402


def draw_gates(path: Path, gates: Mapping[str, np.ndarray]) -> None:
    """Draws how much of the time gates are saturated.

    Args:
      path: PNG to write.
      gates: name -> values `[L, S, N, U]`; the one called "forget" has a histogram too.
    """
    figure, axes = plt.subplots(1, len(gates) + 1, figsize=(12, 3.2), layout="constrained")
    for axis, (name, values) in zip(axes[:-1], gates.items(), strict=True):
        closed, opened = saturation(values)
        for layer, (x, y) in enumerate(zip(opened, closed, strict=True)):
            axis.scatter(x, y, s=10, alpha=0.6, label=f"layer {layer + 1}")
        axis.plot([0, 1], [1, 0], color="black", linewidth=0.6)
        axis.set(xlabel="share of the time above 0.9", title=f"{name} gate")
        axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes[0].set_ylabel("share of the time below 0.1")
    axes[0].legend(frameon=False)
    closed, opened = saturation(gates["forget"])
    bins = np.linspace(0, 1, 21)
    axes[-1].hist(opened.ravel(), bins, alpha=0.7, label="above 0.9")
    axes[-1].hist(closed.ravel(), bins, alpha=0.7, label="below 0.1")
    axes[-1].set(xlabel="share of the time", ylabel="cells", title="forget gate")
    axes[-1].legend(frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_brackets(path: Path, curves: Mapping[str, Mapping[int, tuple[float, int]]]) -> None:
    """Draws the nats of closing brackets over the distance to their opening ones.

    Args:
      path: PNG to write.
      curves: model -> upper end of a range of distances -> mean nats, and how many brackets.
    """
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name, found in curves.items():
        axis.plot(range(len(found)), [nats for nats, _ in found.values()], marker=".", label=name)
    ends = list(found)
    lows = [1, *(end + 1 for end in ends[:-1])]
    ranges = [
        f"{low} to {end}" if end < 10_000 else f"{low} on"
        for low, end in zip(lows, ends, strict=True)
    ]
    labels = [f"{text}\n({count})" for text, (_, count) in zip(ranges, found.values(), strict=True)]
    axis.set_xticks(range(len(labels)), labels, fontsize=8)
    axis.set(xlabel="characters since the opening bracket (how many)", ylabel="nats of the closing")
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
