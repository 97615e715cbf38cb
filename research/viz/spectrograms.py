"""Spectrograms as pictures: what a sound holds of each frequency, over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def picture(levels: np.ndarray, magnify: int = 3) -> np.ndarray:
    """A spectrogram as a picture, uint8 `[H, W, 3]`, high frequencies above.

    Args:
      levels: decibels `[frequencies, F]`, 0 the brightest, the least of them the darkest.
      magnify: pixels of each.
    """
    import matplotlib

    level = 1 - levels[::-1] / min(levels.min(), -1.0)
    colours = matplotlib.colormaps["magma"](level)[..., :3]
    image = (255 * colours).astype(np.uint8)
    return image.repeat(magnify, 0).repeat(magnify, 1)


def draw(
    path: Path,
    spectrograms: Mapping[str, np.ndarray],
    frames_per_second: float,
    top: float,
    columns: int = 3,
) -> None:
    """Draws spectrograms side by side, on one scale of time.

    Args:
      path: PNG to write.
      spectrograms: title -> decibels `[frequencies, F]`.
      frames_per_second: of them.
      top: their highest frequency, in Hz.
      columns: pictures in a row.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-len(spectrograms) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 2.2 * rows), layout="constrained", squeeze=False
    )
    longest = max(levels.shape[1] for levels in spectrograms.values()) / frames_per_second
    floor = min(levels.min() for levels in spectrograms.values())
    for axis in axes.flat[len(spectrograms) :]:
        axis.axis("off")
    for axis, (title, levels) in zip(axes.flat, spectrograms.items(), strict=False):
        axis.imshow(
            levels,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=floor,
            vmax=0,
            extent=(0, levels.shape[1] / frames_per_second, 0, top / 1000),
        )
        axis.set_facecolor("black")
        axis.set(title=title, xlim=(0, longest))
        axis.title.set_fontsize(9)
    for axis in axes[:, 0]:
        axis.set_ylabel("kHz")
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.savefig(path, dpi=80)
    plt.close(figure)
