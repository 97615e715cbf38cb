"""Pen strokes as pictures: SVG, which keeps the curves, and pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Strokes = Sequence[np.ndarray]  # points [n, 2] of each, y upwards
Row = tuple[str, Strokes]  # what is said of it, and the strokes

INK, PAPER, GREY = "#17324d", "#ffffff", "#777777"
_HEIGHT, _MARGIN, _LABEL, _FINE = 56.0, 8.0, 96.0, 3  # pixels; pictures are drawn so much larger


def svg(rows: Sequence[Row]) -> str:
    """Rows of handwriting below each other as an SVG document.

    Args:
      rows: labels, "" for none, and strokes in any unit, the same for all rows.
    """
    lines, width, height = _placed(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}">',
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
    ]
    for label, middle, strokes in lines:
        if label:
            parts.append(
                f'<text x="{_MARGIN:g}" y="{middle:.1f}" font-family="sans-serif" font-size="12" '
                f'fill="{GREY}">{_escaped(label)}</text>'
            )
        for points in strokes:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="2" '
                'stroke-linecap="round" stroke-linejoin="round"/>'
            )
    return "\n".join([*parts, "</svg>\n"])


def picture(rows: Sequence[Row]) -> np.ndarray:
    """The same rows as pixels: uint8 `[H, W, 3]`."""
    lines, width, height = _placed(rows)
    size = round(width), round(height)
    image = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), PAPER)
    draw = ImageDraw.Draw(image)
    for label, middle, strokes in lines:
        if label:
            place = (_MARGIN * _FINE, (middle - 10) * _FINE)
            draw.text(place, label, fill=GREY, font_size=12 * _FINE)
        for points in strokes:
            path = [(x * _FINE, y * _FINE) for x, y in points]
            draw.line(path, fill=INK, width=2 * _FINE, joint="curve")
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def _placed(rows: Sequence[Row]) -> tuple[list[tuple[str, float, Strokes]], float, float]:
    """Each row's label, the height of its middle and its strokes in pixels; width and height."""
    extents = [np.ptp(np.concatenate(strokes), axis=0) for _, strokes in rows if strokes]
    # One scale for all rows, by what is usual: a stroke that goes astray makes none other small.
    tall = float(np.median([extent[1] for extent in extents])) if extents else 1.0
    scale = _HEIGHT / max(tall, 1e-6)
    left = _MARGIN + (_LABEL if any(label for label, _ in rows) else 0.0)
    top, width = _MARGIN, left + 120.0
    found: list[tuple[str, float, Strokes]] = []
    for label, strokes in rows:
        size = _HEIGHT
        placed: list[np.ndarray] = []
        if strokes:
            points = np.concatenate(strokes)
            low, high = points.min(0), points.max(0)
            size = max(_HEIGHT, float(scale * (high[1] - low[1])))
            for stroke in strokes:
                x = left + scale * (stroke[:, 0] - low[0])
                y = top + scale * (high[1] - stroke[:, 1])
                placed.append(np.stack([x, y], axis=1))
            width = max(width, left + float(scale * (high[0] - low[0])))
        found.append((label, top + size / 2, placed))
        top += size + 2 * _MARGIN
    return found, width + _MARGIN, top - _MARGIN


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
