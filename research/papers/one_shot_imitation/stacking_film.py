"""Block stacking as a film: on the left what was demonstrated, on the right what was done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from research.viz.films import save_gif, side_by_side

_PAPER, _INK, _SOFT = (250, 250, 248), (40, 44, 52), (190, 194, 200)
_COLOURS = (  # told apart also by lightness
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (150, 150, 150),
    (110, 60, 160),
    (120, 80, 40),
)


FPS = 11


def save_film(
    path: str | Path, episodes: Sequence[np.ndarray], captions: Sequence[str], side: float
) -> None:
    """Writes `film_frames` as a GIF; the last frame stays for two seconds."""
    save_gif(path, film_frames(episodes, captions, side), FPS, colours=32, last_seconds=2.0)


def film_frames(
    episodes: Sequence[np.ndarray],
    captions: Sequence[str],
    side: float,
    *,
    pixels_per_unit: int = 120,
) -> np.ndarray:
    """Frames uint8 `[T, H, W, 3]` of episodes side by side.

    The shorter ones stay at their last frame.

    Args:
      episodes: observations `[T, 3 + 3 B]` of `block_stacking`, each cut at its end.
      captions: one above each.
      side: of a block, in the units of the observations.
      pixels_per_unit: scale.
    """
    films = [
        np.stack([np.asarray(_frame(x, caption, side, pixels_per_unit)) for x in episode])
        for episode, caption in zip(episodes, captions, strict=True)
    ]
    return side_by_side(films)


def _frame(observation: np.ndarray, caption: str, side: float, scale: int) -> Image.Image:
    blocks = observation[3:].reshape(-1, 3)
    edge = 0.2 * len(blocks) + 0.25
    width, height = round(2 * edge * scale), round(1.75 * scale)
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)

    def at(x: float, y: float) -> tuple[float, float]:
        return (x + edge) * scale, height - (y + 0.1) * scale

    draw.rectangle((*at(-edge, 0), *at(edge, -0.1)), _SOFT)
    for i, (present, x, y) in enumerate(blocks):
        if present:
            left, right = at(x - side / 2, y + side / 2), at(x + side / 2, y - side / 2)
            draw.rectangle((*left, *right), _COLOURS[i % len(_COLOURS)], _INK)
            draw.text(at(x, y), chr(97 + i), _INK, anchor="mm")
    x, y, holds = observation[:3]
    open_by = side * (0.45 if holds else 0.65)
    for sign in (-1, 1):  # two fingers and the bar between them
        draw.line([at(x + sign * open_by, y + side * 0.7), at(x + sign * open_by, y)], _INK, 3)
    draw.line([at(x - open_by, y + side * 0.7), at(x + open_by, y + side * 0.7)], _INK, 3)
    draw.text((6, 4), caption, _INK)
    return image
