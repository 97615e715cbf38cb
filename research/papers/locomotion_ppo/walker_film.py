"""A body on its track as a film, from the side: the camera goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from research.viz.films import save_gif, side_by_side

_SKY, _GROUND, _INK = (250, 250, 248), (190, 194, 200), (40, 44, 52)
Body = tuple[np.ndarray, np.ndarray, np.ndarray]
# Of the limbs on the far side, the trunk and the near side; told apart by lightness too.
_COLOURS = ((86, 140, 200), (70, 76, 88), (213, 94, 0))
_VIEW = 6.0  # metres across
_BELOW = 0.7  # metres of ground that are seen
FPS = 20


def save_film(
    path: str | Path,
    bodies: Sequence[Body],
    grounds: Sequence[np.ndarray],
    cell: float,
    captions: Sequence[str],
) -> None:
    """Writes `film_frames` as a GIF."""
    save_gif(path, film_frames(bodies, grounds, cell, captions), FPS, colours=24)


def film_frames(
    bodies: Sequence[Body],
    grounds: Sequence[np.ndarray],
    cell: float,
    captions: Sequence[str],
    *,
    width: int = 480,
) -> np.ndarray:
    """Frames uint8 `[T, H, W, 3]` of episodes one under the other.

    The shorter ones stay at their last frame.

    Args:
      bodies: of each episode, in metres: `[T, L, P, 2]` places along L lines, forward and up; their
        radius `[L]`; and side `[L]`, -1 for a far one, 0 for the trunk, 1 for a near one. The
        trunk's first place is kept in view.
      grounds: heights `[columns]` of each track.
      cell: metres from one height to the next.
      captions: one for each episode.
      width: in pixels, of six metres.
    """
    films = [
        np.stack(
            [np.asarray(_frame(body, t, ground, cell, caption, width)) for t in range(len(body[0]))]
        )
        for body, ground, caption in zip(bodies, grounds, captions, strict=True)
    ]
    return side_by_side(films, axis=1)


def _frame(
    body: Body, t: int, ground: np.ndarray, cell: float, caption: str, width: int
) -> Image.Image:
    scale, height = width / _VIEW, round(width * 0.42)
    places, radii, side = body
    left = places[t, np.flatnonzero(side == 0)[0], 0, 0] - _VIEW * 0.35
    image = Image.new("RGB", (width, height), _SKY)
    draw = ImageDraw.Draw(image)

    def at(x: float, z: float) -> tuple[float, float]:
        return (x - left) * scale, height - (z + _BELOW) * scale

    xs = np.arange(left, left + _VIEW + cell, cell / 2)
    profile = np.interp(xs, cell * np.arange(len(ground)), ground)
    line = [at(x, z) for x, z in zip(xs, profile, strict=True)]
    draw.polygon([*line, at(xs[-1], -9), at(xs[0], -9)], _GROUND)
    draw.line(line, _INK, 1)
    for metre in range(int(np.ceil(left)), int(left + _VIEW) + 1):
        if metre % 5 == 0:
            draw.text((at(metre, 0)[0], height - 12), f"{metre} m", _INK, anchor="ma")
    for limb in np.argsort(side, kind="stable"):  # from the far side to the near one
        radius, colour = radii[limb] * scale, _COLOURS[int(side[limb]) + 1]
        line = [at(x, z) for x, z in places[t, limb]]
        draw.line(line, colour, max(1, round(2 * radius)), joint="curve")
        for x, z in line:
            draw.ellipse((x - radius, z - radius, x + radius, z + radius), colour)
    draw.text((6, 4), caption, _INK)
    return image
