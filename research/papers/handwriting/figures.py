"""The paper's pictures: where the next point may be, and where the window is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from research.core.files import write_text
from research.losses.mixture_density import PlanarMixture
from research.papers.handwriting.lines import Line
from research.viz import pen_strokes

_CELLS = 220  # of the density's grid, across


def draw_rows(path: Path, rows: Sequence[pen_strokes.Row]) -> None:
    """Writes rows of handwriting as `path` with the suffixes .png and .svg."""
    Image.fromarray(pen_strokes.picture(rows)).save(path.with_suffix(".png"))
    write_text(path.with_suffix(".svg"), pen_strokes.svg(rows))


def density_map(
    mixture: PlanarMixture, points: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """The densities of all predictions of a line, added up, on a grid `[rows, _CELLS]`.

    Args:
      mixture: of the T points, in offsets from the point before.
      points: the points before them `[T, 2]`.
      low, high: corners of the grid.
    """
    x = np.linspace(low[0], high[0], _CELLS)
    rows = max(2, round(_CELLS * float((high[1] - low[1]) / (high[0] - low[0]))))
    y = np.linspace(low[1], high[1], rows)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    total = np.zeros(grid.shape[:2])
    for t, point in enumerate(points):
        one = PlanarMixture(*(part[t] for part in mixture))
        total += np.exp(np.asarray(one.log_prob(grid - point)))
    return total


def draw_density(path: Path, mixture: PlanarMixture, line: Line) -> None:
    """Draws a line, the densities of its points and the components' weights over time.

    Args:
      path: without a suffix; .png and .svg are written.
      mixture: what was predicted of the line's offsets, in their unit.
      line: of T + 1 points.
    """
    points = np.concatenate(line.strokes)
    room = 0.15 * np.ptp(points[:, 1])
    low, high = points.min(0) - room, points.max(0) + room
    density = density_map(mixture, points[:-1], low, high)
    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    top, middle, bottom = figure.subplots(3, 1, height_ratios=(2, 2, 1))
    extent = (low[0], high[0], low[1], high[1])
    # Strokes are predicted to a hair and leaps are not: the root shows both.
    top.imshow(density**0.25, origin="lower", extent=extent, cmap="magma", aspect="equal")
    top.set_title(
        f"densities of the next point, added up (fourth root): «{line.text}»", fontsize=10
    )
    for stroke in line.strokes:
        middle.plot(stroke[:, 0], stroke[:, 1], color=pen_strokes.INK, marker=".", markersize=3)
    middle.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    middle.set_title("the line", fontsize=10)
    for axis in (top, middle):
        axis.set_axis_off()
    weights = np.exp(np.asarray(mixture.log_weights))
    bottom.imshow(weights.T, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    bottom.set(xlabel="point", ylabel="component", yticks=[])
    bottom.set_title("weights of the components", fontsize=10)
    _save(figure, path)


def draw_window(path: Path, weights: np.ndarray, line: Line) -> None:
    """Draws where the window is after each point of a line, below the line itself.

    Args:
      path: without a suffix; .png and .svg are written.
      weights: phi `[T, U + 1]`; the last column is the place after the text.
      line: of T + 1 points and U letters.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, height_ratios=(1, 2), sharex=True)
    # The pen's height over time, so that letters stand above their columns.
    begin = -1  # the first point is where the line begins, and is not predicted
    for stroke in line.strokes:
        times = np.arange(begin, begin + len(stroke))
        top.plot(times, stroke[:, 1], color=pen_strokes.INK, marker=".", markersize=4)
        begin += len(stroke)
    top.set(ylabel="height of the pen")
    top.spines[["top", "right"]].set_visible(False)
    image = bottom.imshow(weights.T, aspect="auto", cmap="Blues", origin="lower", vmin=0)
    labels = [*(letter if letter != " " else "␣" for letter in line.text), "after it"]
    bottom.set_yticks(range(len(labels)), labels)
    bottom.set(xlabel="point", ylabel="text")
    figure.colorbar(image, ax=bottom, label="window weight", pad=0.01)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), dpi=100)
