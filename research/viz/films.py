"""Films as animated GIFs, which every browser and mail program shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Frames = Sequence[np.ndarray] | np.ndarray  # T of uint8 [H, W, 3]

_COLOURS = 64
_STEP_MS = 10  # GIF counts in hundredths of a second


def encode_gif(
    frames: Frames, fps: float, *, colours: int = _COLOURS, last_seconds: float = 0.0
) -> bytes:
    """An endless GIF of uint8 frames `[H, W, 3]`.

    Args:
      frames: T of them.
      fps: frames in a second; GIF knows no more than 50.
      colours: in each frame, drawn without dither.
      last_seconds: how long the last frame stays; 0 for as long as the others.
    """
    duration = max(2 * _STEP_MS, round(1000 / fps / _STEP_MS) * _STEP_MS)
    durations = [duration] * len(frames)
    if last_seconds:
        durations[-1] = round(1000 * last_seconds)
    images = [
        Image.fromarray(frame).quantize(colours, dither=Image.Dither.NONE) for frame in frames
    ]
    file = io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], loop=0, duration=durations)
    return file.getvalue()


def save_gif(path: str | Path, frames: Frames, fps: float, **options: Any) -> None:
    """Writes `encode_gif(frames, fps, **options)` to a file."""
    Path(path).write_bytes(encode_gif(frames, fps, **options))


def side_by_side(films: Sequence[np.ndarray], *, axis: int = 2) -> np.ndarray:
    """Films `[T, H, W, 3]` in one; the shorter ones stay at their last frame.

    Args:
      films: equal in size but for their length.
      axis: 2 puts them next to each other, 1 one under the other.
    """
    longest = max(map(len, films))
    held = [
        np.concatenate([film, np.repeat(film[-1:], longest - len(film), axis=0)]) for film in films
    ]
    return np.concatenate(held, axis=axis)
