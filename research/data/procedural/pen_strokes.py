"""Handwriting made on the spot: letters of pen strokes, by writers with hands of their own.

This is a synthetic stand-in for recorded handwriting. A letter is a few strokes, each a smooth
curve or a polygon through points that a table gives, with the x-height as unit. A writer has a
slant, proportions, a spacing, a speed of the pen and a steadiness, and all of it is the same in
every line of this writer; what differs from line to line is where the hand slips. The pen leaves
points at equal distances along a stroke, as a digitizer does at equal times, and both ends of it.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

# Letter -> how far the next one is, and its strokes in the order in which they are written: "~" a
# smooth curve, "-" a polygon, through points x,y. The baseline is at 0, small letters reach to 1.
_BOWL = "~ .8,.8 .42,1 0,.5 .4,0 .8,.4"
_TABLE: dict[str, tuple[float, tuple[str, ...]]] = {
    "a": (0.8, (_BOWL, "- .8,1 .8,0")),
    "b": (0.85, ("- 0,2 0,0", "~ 0,.6 .45,1 .85,.5 .45,0 0,.3")),
    "c": (0.75, ("~ .75,.8 .4,1 0,.5 .4,0 .75,.2",)),
    "d": (0.8, (_BOWL, "- .8,2 .8,0")),
    "e": (0.8, ("~ 0,.5 .45,.5 .8,.65 .4,1 0,.5 .4,0 .8,.2",)),
    "f": (0.6, ("~ .75,1.85 .45,2 .25,1.5 .25,0", "- 0,1 .6,1")),
    "g": (0.8, (_BOWL, "~ .8,1 .8,-.5 .4,-1 0,-.7")),
    "h": (0.75, ("- 0,2 0,0", "~ 0,.6 .4,1 .75,.6 .75,0")),
    "i": (0.1, ("- .05,1 .05,0", "- .05,1.5 .1,1.6")),
    "j": (0.4, ("~ .4,1 .4,-.5 .2,-1 0,-.8", "- .4,1.5 .45,1.6")),
    "k": (0.75, ("- 0,2 0,0", "- .7,1 0,.4 .75,0")),
    "l": (0.3, ("~ 0,2 0,1 .05,.2 .3,0",)),
    "m": (1.1, ("- 0,1 0,0", "~ 0,.6 .3,1 .55,.6 .55,0", "~ .55,.6 .85,1 1.1,.6 1.1,0")),
    "n": (0.75, ("- 0,1 0,0", "~ 0,.6 .4,1 .75,.6 .75,0")),
    "o": (0.8, ("~ .4,1 0,.5 .4,0 .8,.5 .4,1",)),
    "p": (0.85, ("- 0,1 0,-1", "~ 0,.6 .45,1 .85,.5 .45,0 0,.3")),
    "q": (0.8, (_BOWL, "- .8,1 .8,-1 1,-.8")),
    "r": (0.5, ("- 0,1 0,0", "~ 0,.6 .25,.95 .55,.9")),
    "s": (0.65, ("~ .65,.85 .35,1 .05,.75 .35,.5 .65,.25 .35,0 0,.15",)),
    "t": (0.6, ("- .3,1.7 .3,0", "- 0,1 .6,1")),
    "u": (0.75, ("~ 0,1 0,.35 .35,0 .75,.5", "- .75,1 .75,0")),
    "v": (0.8, ("- 0,1 .4,0 .8,1",)),
    "w": (1.1, ("- 0,1 .3,0 .55,.8 .8,0 1.1,1",)),
    "x": (0.75, ("- 0,1 .75,0", "- .75,1 0,0")),
    "y": (0.8, ("- 0,1 .4,.1", "- .8,1 .2,-1")),
    "z": (0.75, ("- 0,1 .75,1 0,0 .75,0",)),
    " ": (0.5, ()),
}
LETTERS = "".join(_TABLE)
_CURVE_POINTS = 12  # between two points of the table, before the pen's own are laid


@dataclasses.dataclass(frozen=True)
class Writer:
    """A hand.

    Attributes:
      slant: x of a point for each unit of its height.
      width, height: of letters, in their size in the table; `height` is what lies above the
        x-height and below the baseline, beyond the letters' middle.
      spacing: between letters, in x-heights.
      step: between two points of the pen, in x-heights.
      shake: deviation of the points that a letter is drawn through, in x-heights.
    """

    slant: float = 0.0
    width: float = 1.0
    height: float = 1.0
    spacing: float = 0.35
    step: float = 0.3
    shake: float = 0.0


NEUTRAL = Writer()


def writers(count: int, seed: int = 0) -> list[Writer]:
    """`count` hands; a longer list of the same seed begins with a shorter one."""
    found = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        found.append(
            Writer(
                slant=rng.uniform(-0.3, 0.7),
                width=rng.uniform(0.75, 1.25),
                height=rng.uniform(0.7, 1.1),
                spacing=rng.uniform(0.25, 0.5),
                step=rng.uniform(0.27, 0.33),
                shake=rng.uniform(0.02, 0.05),
            )
        )
    return found


def write(text: str, writer: Writer, rng: np.random.Generator) -> list[np.ndarray]:
    """The strokes of a line: points `[n, 2]` of each in x-heights, n at least 2, y upwards.

    Args:
      text: of `LETTERS`.
      writer: whose hand it is.
      rng: where it slips.
    """
    strokes: list[np.ndarray] = []
    pen = 0.0
    for letter in text:
        for kind, drawn in _shapes(letter):
            points = drawn + writer.shake * rng.normal(size=drawn.shape)
            if kind == "~":
                points = _smooth(points)
            beyond = np.where(points[:, 1] > 1, points[:, 1] - 1, np.minimum(points[:, 1], 0))
            y = points[:, 1] + (writer.height - 1) * beyond
            x = pen + writer.width * points[:, 0] + writer.slant * y
            strokes.append(evenly(np.stack([x, y], axis=1), writer.step))
        pen += writer.width * _TABLE[letter][0] + writer.spacing
    return strokes


@functools.cache
def _shapes(letter: str) -> list[tuple[str, np.ndarray]]:
    """A letter's strokes: "~" or "-", and the points of the table `[m, 2]`."""
    return [
        (shape[0], np.array([[float(v) for v in p.split(",")] for p in shape[2:].split()]))
        for shape in _TABLE[letter][1]
    ]


def evenly(points: np.ndarray, step: float) -> np.ndarray:
    """Points `[n, 2]` on a polygon `[m, 2]` at equal distances of about `step`, and both ends."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    places = np.linspace(0.0, along[-1], max(2, round(along[-1] / step) + 1))
    return np.stack([np.interp(places, along, points[:, i]) for i in (0, 1)], axis=1)


def _smooth(points: np.ndarray) -> np.ndarray:
    """The Catmull-Rom spline through points `[m, 2]`, as a fine polygon."""
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.linspace(0.0, 1.0, _CURVE_POINTS, endpoint=False)[:, None]
    parts = []
    for before, first, second, after in zip(
        padded, padded[1:], padded[2:], padded[3:], strict=False
    ):
        parts.append(
            first
            + 0.5 * t * (second - before)
            + t**2 * (before - 2.5 * first + 2 * second - 0.5 * after)
            + t**3 * (1.5 * (first - second) + 0.5 * (after - before))
        )
    return np.concatenate([*parts, points[-1:]])
