"""Pictures of a search: every model's fitness with the line of the best, and the best cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from research.models.nas_cells.amoeba_net import CellGenotype, Genotype

_COLOURS = {"identity": "tab:gray", "avg": "tab:orange", "max": "tab:red", "sep": "tab:blue"}
_COLUMN = 3.0  # between states of one depth and those of the next
_COLOURS |= {"dil": "tab:cyan", "conv": "tab:green"}


def lineage(parent: np.ndarray, number: int) -> list[int]:
    """A model and its ancestors, the first one first."""
    line = [number]
    while parent[line[-1]] >= 0:
        line.append(int(parent[line[-1]]))
    return line[::-1]


def draw_search(
    path: Path, accuracy: np.ndarray, parent: np.ndarray, number: int, what: str
) -> None:
    """Draws each model's accuracy by its birth, and the lineage of one of them.

    Args:
      path: PNG to write.
      accuracy, parent: `[M]`, of all models.
      number: the model that the search reports.
      what: accuracy is, with its unit.
    """
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(accuracy, ".", color="tab:gray", markersize=3, alpha=0.5, label="models")
    line = lineage(parent, number)
    axes.plot(line, accuracy[line], ".-", color="tab:red", markersize=6, label="line of the choice")
    axes.set_xlabel("models born")
    axes.set_ylabel(what)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def genotype_picture(genotype: Genotype) -> np.ndarray:
    """Both cells as graphs: uint8 `[H, W, 3]`."""
    figure = Figure(figsize=(8.0, 8.0), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, cell, title in zip(
        figure.subplots(2, 1), genotype, ("normal cell", "reduction cell"), strict=True
    ):
        _draw_cell(axes, cell)
        axes.set_title(title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_cell(axes: Any, cell: CellGenotype) -> None:
    places = _places(cell)
    output = len(places)
    last = max(x for x, _ in places)
    places = [*places, (last + _COLUMN, 0.0)]
    names = ["last cell", "one before", *map(str, range(2, output)), "output"]
    for k, (operations, inputs) in enumerate(zip(cell.operations, cell.inputs, strict=True)):
        for side, (name, state) in enumerate(zip(operations, inputs, strict=True)):
            twins = inputs[0] == inputs[1]
            bend = (0.25 if side else -0.25) if twins else 0.12
            _arrow(axes, places[state], places[k + 2], name, bend, 0.35 + 0.25 * side)
    for state in cell.unused:
        _arrow(axes, places[state], places[output], "", 0.0, 0.5)
    for (x, y), name in zip(places, names, strict=True):
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "black"}
        axes.text(x, y, name, ha="center", va="center", fontsize=8, bbox=box, zorder=3)
    ys = [y for _, y in places]
    axes.set_aspect("equal")
    axes.set_xlim(-0.6, last + _COLUMN + 0.6)
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
        places.append((_COLUMN * depth, 2.0 * y + 0.6 * (depth % 2)))
    return places


def _arrow(
    axes: Any,
    start: tuple[float, float],
    end: tuple[float, float],
    name: str,
    bend: float,
    place: float,
) -> None:
    """An arrow with its name at a share `place` of the way."""
    colour = _COLOURS.get(name.split("_")[0], "black")
    style = {
        "arrowstyle": "-|>",
        "connectionstyle": f"arc3,rad={bend}",
        "color": colour,
        "shrinkA": 12,
        "shrinkB": 12,
    }
    axes.annotate("", end, start, arrowprops=style, zorder=1)
    if not name:
        return
    (x0, y0), (x1, y1) = start, end
    control = (x0 + x1) / 2 + bend * (y1 - y0), (y0 + y1) / 2 - bend * (x1 - x0)
    x, y = (
        (1 - place) ** 2 * a + 2 * place * (1 - place) * c + place**2 * b
        for a, c, b in zip(start, control, end, strict=True)
    )
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    axes.text(x, y, name, color=colour, fontsize=7, ha="center", va="center", bbox=box, zorder=2)
