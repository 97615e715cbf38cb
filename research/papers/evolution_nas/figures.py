"""Pictures of a search: every model's fitness with the line of the best, and the best cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from research.models.nas_cells.amoeba_net import CellGenotype, Genotype

_COLOURS = {"identity": "tab:gray", "avg": "tab:orange", "max": "tab:red", "sep": "tab:blue"}
_COLOURS |= {"dil": "tab:cyan", "conv": "tab:green"}


def lineage(parent: np.ndarray, number: int) -> list[int]:
    """A model and its ancestors, the first one first."""
    line = [number]
    while parent[line[-1]] >= 0:
        line.append(int(parent[line[-1]]))
    return line[::-1]


def draw_search(path: Path, fitness: np.ndarray, parent: np.ndarray, what: str) -> None:
    """Draws each model's fitness by its birth, and the lineage of the best.

    Args:
      path: PNG to write.
      fitness, parent: `[M]`, of all models.
      what: fitness is, with its unit.
    """
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(fitness, ".", color="tab:gray", markersize=3, alpha=0.5, label="models")
    line = lineage(parent, int(np.argmax(fitness)))
    axes.plot(line, fitness[line], ".-", color="tab:red", markersize=6, label="line of the best")
    axes.set_xlabel("models born")
    axes.set_ylabel(what)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def genotype_picture(genotype: Genotype) -> np.ndarray:
    """Both cells as graphs: uint8 `[H, W, 3]`."""
    figure = Figure(figsize=(9.6, 4.8), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, cell, title in zip(
        figure.subplots(1, 2), genotype, ("normal cell", "reduction cell"), strict=True
    ):
        _draw_cell(axes, cell)
        axes.set_title(title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_cell(axes: Any, cell: CellGenotype) -> None:
    places = _places(cell)
    output = len(places)
    last = max(x for x, _ in places)
    places = [*places, (last + 1, 0.0)]
    names = ["last cell", "one before", *map(str, range(2, output)), "output"]
    for k, (operations, inputs) in enumerate(zip(cell.operations, cell.inputs, strict=True)):
        for side, (name, state) in enumerate(zip(operations, inputs, strict=True)):
            twins = inputs[0] == inputs[1]
            bend = (0.25 if side else -0.25) if twins else 0.12
            _arrow(axes, places[state], places[k + 2], name, bend)
    for state in cell.unused:
        _arrow(axes, places[state], places[output], "", 0.0)
    for (x, y), name in zip(places, names, strict=True):
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "black"}
        axes.text(x, y, name, ha="center", va="center", fontsize=8, bbox=box, zorder=3)
    ys = [y for _, y in places]
    axes.set_xlim(-0.5, last + 1.5)
    axes.set_ylim(min(ys) - 0.7, max(ys) + 0.7)
    axes.axis("off")


def _places(cell: CellGenotype) -> list[tuple[float, float]]:
    """Where states are drawn: columns by depth, spread within each."""
    depths = [0, 0]
    for pair in cell.inputs:
        depths.append(1 + max(depths[state] for state in pair))
    places = []
    for state, depth in enumerate(depths):
        column = [other for other, found in enumerate(depths) if found == depth]
        y = (len(column) - 1) / 2 - column.index(state)
        places.append((float(depth), 1.2 * y + 0.35 * (depth % 2) * (len(column) == 1)))
    return places


def _arrow(
    axes: Any, start: tuple[float, float], end: tuple[float, float], name: str, bend: float
) -> None:
    colour = _COLOURS.get(name.split("_")[0], "black")
    style = {
        "arrowstyle": "-|>",
        "connectionstyle": f"arc3,rad={bend}",
        "color": colour,
        "shrinkA": 12,
        "shrinkB": 12,
    }
    axes.annotate("", end, start, arrowprops=style, zorder=1)
    (x0, y0), (x1, y1) = start, end
    # A quadratic curve passes halfway between its chord and its control point.
    x, y = (x0 + x1) / 2 + bend * (y1 - y0) / 2, (y0 + y1) / 2 - bend * (x1 - x0) / 2
    axes.text(x, y, name, color=colour, fontsize=7, ha="center", va="center", zorder=2)
