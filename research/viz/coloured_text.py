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
    width, height = font.getlength("m"), SIZE + 4
    places = [_places(panel.text) for panel in panels]
    # Above each text stands its title, and below it an empty line.
    tops = np.cumsum([0.0, *(places[-1][0] + 3.0 for places in places)])
    shape = round(COLUMNS * width) + 2 * MARGIN, round(tops[-1] * height) + MARGIN
    image = Image.new("RGB", shape, "white")
    brush = ImageDraw.Draw(image)
    for panel, of_panel, top in zip(panels, places, tops, strict=False):
        brush.text((MARGIN, MARGIN + top * height), panel.title, (60, 60, 60), font)
        corners = [
            (MARGIN + column * width, MARGIN + (top + 1.2 + row) * height)
            for row, column in of_panel
        ]
        for (left, upper), colour in zip(corners, colours(panel.values).tolist(), strict=True):
            brush.rectangle((left, upper, left + width, upper + height), tuple(colour))
        for corner, character in zip(corners, panel.text, strict=True):
            if not character.isspace():
                brush.text(corner, character, (20, 20, 20), font)
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


def _places(text: str) -> list[tuple[int, int]]:
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
