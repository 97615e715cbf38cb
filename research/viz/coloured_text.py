"""Text whose characters are coloured by a number each: red below zero, blue above."""

from __future__ import annotations

import functools
import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE, MARGIN = 13, 10  # pixels
COLUMNS = 84  # of a line; longer ones go on in the next
_RED, _WHITE, _BLUE = np.array([222, 84, 74]), np.array([255, 255, 255]), np.array([70, 130, 220])


class Panel(NamedTuple):
    """A text and its colours.

    Attributes:
      title: stands above it.
      text: N characters.
      values: `[N]`, -1 to 1.
    """

    title: str
    text: str
    values: np.ndarray


def colours(values: np.ndarray) -> np.ndarray:
    """uint8 `[N, 3]` of values `[N]`: red at -1, white at 0, blue at 1."""
    share = np.clip(np.abs(values), 0, 1)[:, None]
    end = np.where(np.asarray(values)[:, None] < 0, _RED, _BLUE)
    return np.round(_WHITE + share * (end - _WHITE)).astype(np.uint8)


def draw(panels: Sequence[Panel]) -> np.ndarray:
    """The panels one under the other: a picture uint8 `[H, W, 3]`."""
    font = _font()
    width = font.getlength("m")
    height = SIZE + 4
    rows = [_rows(panel.text) for panel in panels]
    lines = sum(1.6 + row[-1] + 1 for row in map(lambda places: [p[0] for p in places], rows))
    shape = round(COLUMNS * width) + 2 * MARGIN, round(lines * height) + 2 * MARGIN
    image = Image.new("RGB", shape, "white")
    brush, top = ImageDraw.Draw(image), float(MARGIN)
    for panel, places in zip(panels, rows, strict=True):
        brush.text((MARGIN, top), panel.title, (60, 60, 60), font)
        top += 1.3 * height
        for character, (row, column), colour in zip(
            panel.text, places, colours(panel.values), strict=True
        ):
            left, upper = MARGIN + column * width, top + row * height
            brush.rectangle((left, upper, left + width, upper + height), tuple(map(int, colour)))
            if not character.isspace():
                brush.text((left, upper + 1), character, (20, 20, 20), font)
        top += (places[-1][0] + 1.3) * height
    return np.asarray(image)


def page(panels: Sequence[Panel], title: str) -> str:
    """The panels as one self-contained HTML page, on which a character shows its number."""
    parts = []
    for panel in panels:
        spans = [
            f'<span style="background:rgb({r},{g},{b})" title="{value:.2f}">'
            f"{html.escape(character) if character != chr(10) else '&crarr;' + chr(10)}</span>"
            for character, value, (r, g, b) in zip(
                panel.text, panel.values, colours(panel.values).tolist(), strict=True
            )
        ]
        parts.append(f"<h2>{html.escape(panel.title)}</h2><pre>{''.join(spans)}</pre>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        "<style>body{font:15px sans-serif;margin:2em}pre{font-size:14px;line-height:1.4}</style>"
        f"<h1>{html.escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def _rows(text: str) -> list[tuple[int, int]]:
    """Row and column of each character."""
    row = column = 0
    places = []
    for character in text:
        if column == COLUMNS:
            row, column = row + 1, 0
        places.append((row, column))
        column += 1
        if character == "\n":
            row, column = row + 1, 0
    return places


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"
    return ImageFont.truetype(str(path), SIZE)
