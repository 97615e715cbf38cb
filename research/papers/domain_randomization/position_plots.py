"""Pictures with what is there and what a detector says marked on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from research.viz.image_grids import grid, to_uint8

MIN_HEIGHT = 128  # pixels of an image
_TRUE, _FOUND, _UNDER = (255, 255, 255), (255, 0, 200), (0, 0, 0)


def save_positions(
    path: str | Path,
    images: np.ndarray,
    true: np.ndarray,
    found: np.ndarray,
    *,
    rows: int = 1,
) -> None:
    """A ring around each true place, a cross at the one found.

    Args:
      images: `[N, H, W, 3]` in [-1, 1] or uint8.
      true, found: `[N, 2]`, (row, column) in pixels of an image.
      rows: of the grid; in it pixels are repeated until an image is `MIN_HEIGHT` of them high.
    """
    Image.fromarray(grid(mark_positions(images, true, found), rows)).save(path)


def mark_positions(images: np.ndarray, true: np.ndarray | None, found: np.ndarray) -> np.ndarray:
    """Images uint8 `[N, H', W', 3]` with their marks; arguments as of `save_positions`.

    Where no place is known to be true, `true` is None.
    """
    magnify = -(-MIN_HEIGHT // images.shape[1])
    marked = []
    for i, (image, cross) in enumerate(zip(to_uint8(images), found, strict=True)):
        picture = Image.fromarray(image.repeat(magnify, 0).repeat(magnify, 1))
        draw = ImageDraw.Draw(picture)
        if true is not None:
            y, x = magnify * (np.asarray(true[i]) + 0.5)
            for colour, width, reach in ((_UNDER, 5, 12), (_TRUE, 2, 11)):
                box = x - reach, y - reach, x + reach, y + reach
                draw.ellipse(box, outline=colour, width=width)
        v, u = magnify * (np.asarray(cross) + 0.5)
        for colour, width in ((_UNDER, 6), (_FOUND, 3)):
            draw.line((u - 8, v - 8, u + 8, v + 8), colour, width)
            draw.line((u - 8, v + 8, u + 8, v - 8), colour, width)
        marked.append(np.asarray(picture))
    return np.stack(marked)
