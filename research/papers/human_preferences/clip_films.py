"""Clips as pictures: every environment that a person can judge, drawn from its observations."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from research.core.errors import UserError
from research.viz.game_frames import DRAWN, SIZE, draw_control, draw_planes, draw_screen

__all__ = ["SIZE", "check_drawn", "film_strip"]


def film_strip(name: str, observations: np.ndarray) -> bytes:
    """Draws a clip as a PNG of all frames side by side, each `SIZE` x `SIZE`.

    Args:
      name: of the environment.
      observations: `[K, ...]`.
    """
    strip = np.concatenate([_frame(name, x) for x in observations], axis=1)
    file = io.BytesIO()
    Image.fromarray(strip).save(file, "PNG")
    return file.getvalue()


def _frame(name: str, x: np.ndarray) -> np.ndarray:
    if x.ndim == 1:
        return draw_control(name, x)
    # Large pictures are grey screens, the newest last; small ones are MinAtar's planes.
    return draw_screen(x[..., -1:]) if len(x) > 20 else draw_planes(x)


def check_drawn(name: str, shape: tuple[int, ...]) -> None:
    """Refuses an environment whose clips cannot be drawn.

    Args:
      name: of the environment.
      shape: of its observations.

    Raises:
      UserError: they are vectors, and there is no drawing for it.
    """
    if len(shape) == 1 and name not in DRAWN:
        raise UserError(
            f"clips of {name} cannot be shown to a person; those of {', '.join(DRAWN)} and of "
            "games of images can"
        )
