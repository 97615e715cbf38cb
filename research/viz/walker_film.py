"""The planar walker on its track as a GIF: the camera goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

_SKY, _GROUND, _INK = (250, 250, 248), (190, 194, 200), (40, 44, 52)
_NEAR, _FAR, _TORSO = (213, 94, 0), (86, 140, 200), (70, 76, 88)  # told apart by lightness too
_VIEW = 6.0  # metres across
_BELOW = 0.7  # metres of ground that are seen


def save_film(
    path: str | Path, skeletons: Sequence[np.ndarray], grounds: Sequence[np.ndarray], cell: float,
    captions: Sequence[str], *, width: int = 480, frame_ms: int = 50,
) -> None:
    """Writes episodes one under the other; the shorter ones stay at their last frame.

    Args:
      skeletons: `[T, 3, places, 2]` of each, in metres: places along torso, leg and other leg.
      grounds: heights `[columns]` of each track, `cell` metres apart.
      captions: one for each.
      width: in pixels, of six metres.
      frame_ms: milliseconds of a frame.
    """
    frames = []
    for t in range(max(map(len, skeletons))):
        panels = [
            _frame(s[min(t, len(s) - 1)], ground, cell, caption, width)
            for s, ground, caption in zip(skeletons, grounds, captions, strict=True)
        ]
        frame = Image.new("RGB", (width, sum(p.height for p in panels)))
        for i, panel in enumerate(panels):
            frame.paste(panel, (0, sum(p.height for p in panels[:i])))
        frames.append(frame.quantize(24, dither=Image.Dither.NONE))
    frames[0].save(path, save_all=True, append_images=frames[1:], loop=0, duration=frame_ms)


def _frame(
    skeleton: np.ndarray, ground: np.ndarray, cell: float, caption: str, width: int
) -> Image.Image:
    scale, height = width / _VIEW, round(width * 0.42)
    left = skeleton[0, 0, 0] - _VIEW * 0.35
    image = Image.new("RGB", (width, height), _SKY)
    draw = ImageDraw.Draw(image)

    def at(x: float, z: float) -> tuple[float, float]:
        return (x - left) * scale, height - (z + _BELOW) * scale

    xs = np.arange(left, left + _VIEW + cell, cell / 2)
    profile = np.interp(xs, cell * np.arange(len(ground)), ground)
    line = [at(x, z) for x, z in zip(xs, profile, strict=True)]
    draw.polygon([*line, at(xs[-1], -9), at(xs[0], -9)], _GROUND)
    draw.line(line, _INK, 1)
    for metre in range(int(np.ceil(left)), int(left + _VIEW) + 1):
        if metre % 5 == 0:
            draw.text((at(metre, 0)[0], height - 12), f"{metre} m", _INK, anchor="ma")
    for limb, colour, thick in ((skeleton[2], _FAR, 5), (skeleton[0], _TORSO, 9),
                                (skeleton[1], _NEAR, 5)):
        places = [at(x, z) for x, z in limb]
        draw.line(places, colour, thick, joint="curve")
        for x, z in places:
            draw.ellipse((x - thick / 2, z - thick / 2, x + thick / 2, z + thick / 2), colour)
    draw.text((6, 4), caption, _INK)
    return image
