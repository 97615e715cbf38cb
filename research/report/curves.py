"""Learning curves over seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

Curve = tuple[Sequence[float], Sequence[float]]  # x, y


def draw_curves(
    path: Path, arms: Mapping[str, Sequence[Curve]], title: str, x: str, y: str
) -> None:
    """Draws one line for each arm: the median over its seeds, with a band.

    The band is the interquartile range for four seeds and more, the whole range below.

    Args:
      path: PNG to write.
      arms: curves of each arm, one a seed; seeds of one arm share their x where they overlap.
      title, x, y: labels.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for arm, found in arms.items():
        curves = [curve for curve in map(_finite, found) if curve[0]]
        if not curves:
            continue
        xs, low, middle, high = band(curves)
        label = f"{_plain(arm)} ({len(curves)} seed{'s' if len(curves) > 1 else ''})"
        marker = "o" if len(xs) == 1 else None
        (line,) = axes.plot(xs, middle, label=label, marker=marker, linewidth=1.8)
        if len(curves) > 1:
            axes.fill_between(xs, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    axes.set(title=textwrap.fill(_plain(title), 72), xlabel=_plain(x), ylabel=_plain(y))
    axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=""))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _finite(curve: Curve) -> Curve:
    """The points of a curve that can be drawn; a file may hold other things in their place."""
    points = [point for point in zip(*curve, strict=True) if all(map(_is_number, point))]
    xs, ys = zip(*points, strict=True) if points else ((), ())
    return xs, ys


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _plain(text: str) -> str:
    """A name as it is: Matplotlib would take what stands between two dollars for mathematics."""
    return text.replace("$", r"\$")


def band(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Takes curves together at the x that all of them have; the band of `draw_curves`.

    Returns:
      x, lower edge, median and upper edge, `[X]` each.
    """
    shared = sorted(set.intersection(*(set(xs) for xs, _ in curves)))
    values = np.array([[dict(zip(*curve, strict=True))[v] for v in shared] for curve in curves])
    edges = (25, 75) if len(curves) >= 4 else (0, 100)
    low, high = np.percentile(values, edges, axis=0)
    return np.array(shared), low, np.median(values, axis=0), high
