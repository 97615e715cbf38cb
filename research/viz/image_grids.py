"""Image grids as PNG files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from PIL import Image


def to_uint8(images: np.ndarray) -> np.ndarray:
    """`[N, H, W, C]` in [-1, 1] (or uint8 already) to uint8, clipped and rounded."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    return np.clip(np.round((images.astype(np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def as_rgb(picture: np.ndarray) -> np.ndarray:
    """A picture `[H, W, 1]` or `[H, W, 3]` with three channels."""
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def grid(images: np.ndarray, rows: int | None = None, padding: int = 2) -> np.ndarray:
    """Lays images out row by row: uint8 [rows (H + padding) + padding, ..., C].

    Args:
      images: `[N, H, W, C]` in [-1, 1] or uint8, C 1 or 3.
      rows: of the grid; as square as possible when None. An unfilled last row stays white.
      padding: white pixels between images.
    """
    images = to_uint8(images)
    num, height, width, channels = images.shape
    rows = rows or max(1, round(math.sqrt(num)))
    columns = -(-num // rows)
    canvas = np.full((rows * columns, height + padding, width + padding, channels), 255, np.uint8)
    canvas[:num, padding:, padding:] = images
    canvas = canvas.reshape(rows, columns, height + padding, width + padding, channels)
    canvas = canvas.swapaxes(1, 2).reshape(rows * (height + padding), -1, channels)
    return np.pad(canvas, ((0, padding), (0, padding), (0, 0)), constant_values=255)


def save_grid(
    path: str | Path, images: np.ndarray, rows: int | None = None, *, magnify: int = 1
) -> None:
    """Writes `grid(images, rows)` as a PNG, each pixel repeated `magnify` times each way."""
    canvas = grid(images, rows).repeat(magnify, 0).repeat(magnify, 1)
    Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas).save(path)


def save_grids(
    workdir: Path, grids: Mapping[str, tuple[np.ndarray, int]], *, magnify: int = 1
) -> None:
    """Writes `NAME.png` of each (images, rows) to a run's folder, from the first process alone."""
    if jax.process_index() == 0:
        for name, (images, rows) in grids.items():
            save_grid(workdir / f"{name}.png", images, rows, magnify=magnify)
