"""Scenes of Sort-of-CLEVR as a person looks at them, with what was asked and answered."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLUMNS = 3
_LINE = 36  # characters of a title


class Answered(NamedTuple):
    """A question about a scene.

    Attributes:
      image: uint8 `[S, S, 3]`.
      question: in words.
      said: the likeliest answer.
      share: its probability.
      truth: the true answer.
    """

    image: np.ndarray
    question: str
    said: str
    share: float
    truth: str


def _show(axes: Axes, answered: Answered) -> None:
    axes.imshow(answered.image)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(textwrap.fill(answered.question, _LINE), fontsize=9)
    right = answered.said == answered.truth
    said = f"{answered.said} ({100 * answered.share:.0f} %)"
    axes.set_xlabel(
        said if right else f"{said}; in truth {answered.truth}",
        fontsize=9,
        color="tab:green" if right else "tab:red",
    )


def _figure(panels: Sequence[Answered]) -> tuple[Figure, FigureCanvasAgg]:
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.0 * columns, 3.3 * rows), layout="constrained", dpi=100)
    canvas = FigureCanvasAgg(figure)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, answered in zip(places, panels, strict=False):
        _show(axes, answered)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    return figure, canvas


def draw_answers(path: Path, panels: Sequence[Answered]) -> None:
    """Writes scenes with questions, answers and the truth where it is another as a PNG."""
    figure, _ = _figure(panels)
    figure.savefig(path)


def picture(answered: Answered) -> np.ndarray:
    """One of them as a picture, uint8 `[H, W, 3]`."""
    _, canvas = _figure([answered])
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
