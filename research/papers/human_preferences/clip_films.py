"""Clips as pictures: every environment that a person can judge, drawn from its observations."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from research.core.errors import UserError

SIZE = 168  # pixels, width and height of a frame
_PAPER, _INK, _SOFT, _WARM = (250, 250, 248), (40, 44, 52), (190, 194, 200), (198, 82, 32)
_OVERSAMPLING = 2
_PLANES = np.array(
    [  # colours of MinAtar's channels, told apart also by lightness
        (230, 230, 230),
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
        (150, 150, 150),
        (110, 60, 160),
    ],
    np.uint8,
)
Point = tuple[float, float]


def film_strip(name: str, observations: np.ndarray) -> bytes:
    """Draws a clip as a PNG of all frames side by side, each `SIZE` x `SIZE`.

    Args:
      name: of the environment.
      observations: `[K, ...]`.
    """
    if observations.ndim == 4:
        frames = [_image(x) for x in observations]
    else:
        frames = [_drawn(name, x) for x in observations]
    strip = Image.new("RGB", (SIZE * len(frames), SIZE))
    for i, frame in enumerate(frames):
        strip.paste(frame, (SIZE * i, 0))
    file = io.BytesIO()
    strip.save(file, "PNG")
    return file.getvalue()


def _image(x: np.ndarray) -> Image.Image:
    """Draws `[H, W, C]` uint8: the newest frame of a stack of grey ones, or MinAtar's planes."""
    if x.shape[0] > 20:
        return Image.fromarray(x[..., -1]).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
    planes = x[..., : len(_PLANES)] > 0
    highest = planes.shape[-1] - 1 - planes[..., ::-1].argmax(axis=-1)
    colours = np.where(planes.any(axis=-1, keepdims=True), _PLANES[highest], 20).astype(np.uint8)
    return Image.fromarray(colours).resize((SIZE, SIZE), Image.Resampling.NEAREST)


class _Canvas:
    """Lines and discs in the unit square about 0, y upwards."""

    def __init__(self) -> None:
        side = SIZE * _OVERSAMPLING
        self.image = Image.new("RGB", (side, side), _PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points: list[Point], colour: tuple[int, int, int], width: float) -> None:
        self.draw.line([self._at(p) for p in points], colour, round(self._length(width)), "curve")
        for point in points:
            self.disc(point, width / 2, colour)

    def disc(self, centre: Point, radius: float, colour: tuple[int, int, int]) -> None:
        (x, y), r = self._at(centre), self._length(radius)
        self.draw.ellipse((x - r, y - r, x + r, y + r), colour)

    def done(self) -> Image.Image:
        return self.image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)

    def _length(self, x: float) -> float:
        return x * SIZE * _OVERSAMPLING / 2

    def _at(self, point: Point) -> Point:
        return self._length(1 + point[0]), self._length(1 - point[1])


def _drawn(name: str, x: np.ndarray) -> Image.Image:
    canvas = _Canvas()
    _DRAWINGS[name](canvas, [float(value) for value in x])
    return canvas.done()


def _pendulum(canvas: _Canvas, x: list[float]) -> None:
    cosine, sine = x[:2]  # of the angle from upright
    tip = 0.8 * sine, 0.8 * cosine
    canvas.line([(0, 0), tip], _WARM, 0.12)
    canvas.disc((0, 0), 0.04, _INK)


def _cart_pole(canvas: _Canvas, x: list[float]) -> None:
    place, angle = x[0] / 2.4 * 0.9, x[2]
    canvas.line([(-0.95, -0.5), (0.95, -0.5)], _SOFT, 0.02)
    canvas.line([(place - 0.12, -0.45), (place + 0.12, -0.45)], _INK, 0.14)
    tip = place + np.sin(angle), -0.4 + np.cos(angle)
    canvas.line([(place, -0.4), tip], _WARM, 0.07)


def _acrobot(canvas: _Canvas, x: list[float]) -> None:
    first, second = np.arctan2(x[1], x[0]), np.arctan2(x[3], x[2])
    elbow = 0.45 * np.sin(first), -0.45 * np.cos(first)
    hand = (elbow[0] + 0.45 * np.sin(first + second), elbow[1] - 0.45 * np.cos(first + second))
    canvas.line([(-0.95, 0.45), (0.95, 0.45)], _SOFT, 0.02)  # the height that the hand is to reach
    canvas.line([(0, 0), elbow], _INK, 0.08)
    canvas.line([elbow, hand], _WARM, 0.08)


def _mountain_car(canvas: _Canvas, x: list[float]) -> None:
    def on_hill(position: float) -> Point:
        return (position + 0.3) / 0.9 * 0.95, 0.6 * float(np.sin(3 * position)) - 0.1

    canvas.line([on_hill(p) for p in np.linspace(-1.2, 0.6, 60)], _SOFT, 0.02)
    flag = on_hill(0.45)
    canvas.line([flag, (flag[0], flag[1] + 0.25)], _INK, 0.02)
    car = on_hill(x[0])
    canvas.disc((car[0], car[1] + 0.08), 0.08, _WARM)


_DRAWINGS: dict[str, Callable[[_Canvas, list[float]], None]] = {
    "Pendulum-v1": _pendulum,
    "Pendulum-hanging": _pendulum,
    "CartPole-v1": _cart_pole,
    "Acrobot-v1": _acrobot,
    "MountainCarContinuous-v0": _mountain_car,
}


def check_drawn(name: str, shape: tuple[int, ...]) -> None:
    """Refuses an environment whose clips cannot be drawn.

    Args:
      name: of the environment.
      shape: of its observations.

    Raises:
      UserError: they are vectors, and there is no drawing for it.
    """
    if len(shape) == 1 and name not in _DRAWINGS:
        raise UserError(
            f"clips of {name} cannot be shown to a person; those of {', '.join(_DRAWINGS)} and of "
            "games of images can"
        )
