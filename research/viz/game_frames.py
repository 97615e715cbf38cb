"""Games and control problems as pictures, drawn from what an agent observes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

SIZE = 168  # pixels, width and height of a frame
PAPER, INK, SOFT, WARM = (250, 250, 248), (40, 44, 52), (190, 194, 200), (198, 82, 32)
PALETTE = np.array(
    [  # told apart also by lightness
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
_OVERSAMPLING = 2
Colour = tuple[int, int, int]
Point = tuple[float, float]


class Canvas:
    """Lines and discs in the unit square about 0, y upwards."""

    def __init__(self) -> None:
        side = SIZE * _OVERSAMPLING
        self.image = Image.new("RGB", (side, side), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Draws a line through points, round at its ends."""
        self.draw.line([self._at(p) for p in points], colour, round(self._length(width)), "curve")
        for point in points:
            self.disc(point, width / 2, colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draws a disc."""
        (x, y), r = self._at(centre), self._length(radius)
        self.draw.ellipse((x - r, y - r, x + r, y + r), colour)

    def ring(self, centre: Point, radius: float, colour: Colour, width: float = 0.03) -> None:
        """Draws a circle."""
        (x, y), r = self._at(centre), self._length(radius)
        self.draw.ellipse(
            (x - r, y - r, x + r, y + r), outline=colour, width=round(self._length(width))
        )

    def box(self, low: Point, high: Point, colour: Colour) -> None:
        """Draws a filled rectangle between two corners."""
        (left, bottom), (right, top) = self._at(low), self._at(high)
        self.draw.rectangle((left, top, right, bottom), colour)

    def frame(self) -> np.ndarray:
        """What was drawn: uint8 `[SIZE, SIZE, 3]`."""
        return np.asarray(self.image.resize((SIZE, SIZE), Image.Resampling.LANCZOS))

    def _length(self, x: float) -> float:
        return x * SIZE * _OVERSAMPLING / 2

    def _at(self, point: Point) -> Point:
        return self._length(1 + point[0]), self._length(1 - point[1])


def draw_planes(planes: np.ndarray) -> np.ndarray:
    """Draws MinAtar's planes `[H, W, C]`, each in a colour of its own, the last one on top."""
    planes = planes[..., : len(PALETTE)] > 0
    highest = planes.shape[-1] - 1 - planes[..., ::-1].argmax(axis=-1)
    colours = np.where(planes.any(axis=-1, keepdims=True), PALETTE[highest], 20).astype(np.uint8)
    return enlarge(colours)


def draw_screen(screen: np.ndarray) -> np.ndarray:
    """Draws a screen, uint8 `[H, W, 3]`, or the last of grey ones `[H, W, C]`, the newest."""
    picture = screen if screen.shape[-1] == 3 else np.repeat(screen[..., -1:], 3, axis=-1)
    return enlarge(picture)


def enlarge(picture: np.ndarray) -> np.ndarray:
    """A picture `[H, W, 3]` as a frame, its pixels as squares."""
    image = Image.fromarray(picture)
    smooth = Image.Resampling.BOX if len(picture) > 40 else Image.Resampling.NEAREST
    return np.asarray(image.resize((SIZE, SIZE), smooth))


def draw_control(name: str, observation: np.ndarray) -> np.ndarray:
    """Draws a control problem of `DRAWN` from its observation `[D]`."""
    canvas = Canvas()
    DRAWN[name](canvas, [float(value) for value in observation])
    return canvas.frame()


def draw_numbers(numbers: np.ndarray) -> np.ndarray:
    """Draws any vector `[D]` as bars about a line, for problems without a drawing of their own."""
    canvas = Canvas()
    canvas.line([(-0.9, 0), (0.9, 0)], SOFT, 0.01)
    width = 1.8 / len(numbers)
    for i, value in enumerate(np.tanh(np.asarray(numbers, np.float64))):
        left = -0.9 + width * (i + 0.15)
        low, high = sorted((0.0, 0.9 * float(value)))
        canvas.box((left, low - 0.01), (left + 0.7 * width, high + 0.01), WARM)
    return canvas.frame()


def _pendulum(canvas: Canvas, x: list[float]) -> None:
    cosine, sine = x[:2]  # of the angle from upright
    tip = 0.8 * sine, 0.8 * cosine
    canvas.line([(0, 0), tip], WARM, 0.12)
    canvas.disc((0, 0), 0.04, INK)


def _cart_pole(canvas: Canvas, x: list[float]) -> None:
    place, angle = x[0] / 2.4 * 0.9, x[2]
    canvas.line([(-0.95, -0.5), (0.95, -0.5)], SOFT, 0.02)
    canvas.line([(place - 0.12, -0.45), (place + 0.12, -0.45)], INK, 0.14)
    tip = place + np.sin(angle), -0.4 + np.cos(angle)
    canvas.line([(place, -0.4), tip], WARM, 0.07)


def _acrobot(canvas: Canvas, x: list[float]) -> None:
    first, second = np.arctan2(x[1], x[0]), np.arctan2(x[3], x[2])
    elbow = 0.45 * np.sin(first), -0.45 * np.cos(first)
    hand = (elbow[0] + 0.45 * np.sin(first + second), elbow[1] - 0.45 * np.cos(first + second))
    canvas.line([(-0.95, 0.45), (0.95, 0.45)], SOFT, 0.02)  # the height that the hand is to reach
    canvas.line([(0, 0), elbow], INK, 0.08)
    canvas.line([elbow, hand], WARM, 0.08)


def _mountain_car(canvas: Canvas, x: list[float]) -> None:
    def on_hill(position: float) -> Point:
        return (position + 0.3) / 0.9 * 0.95, 0.6 * float(np.sin(3 * position)) - 0.1

    canvas.line([on_hill(p) for p in np.linspace(-1.2, 0.6, 60)], SOFT, 0.02)
    flag = on_hill(0.45)
    canvas.line([flag, (flag[0], flag[1] + 0.25)], INK, 0.02)
    car = on_hill(x[0])
    canvas.disc((car[0], car[1] + 0.08), 0.08, WARM)


DRAWN: dict[str, Callable[[Canvas, list[float]], None]] = {
    "Pendulum-v1": _pendulum,
    "Pendulum-hanging": _pendulum,
    "CartPole-v1": _cart_pole,
    "Acrobot-v1": _acrobot,
    "MountainCarContinuous-v0": _mountain_car,
}
