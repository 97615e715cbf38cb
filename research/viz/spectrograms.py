"""Sounds as pictures: what they hold of each frequency, over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from research.data.audio.spectrum import hann, stft

_FLOOR = -90.0  # decibels below a full sine


def decibels(sound: np.ndarray, window: int = 160, hop: int = 40) -> np.ndarray:
    """A spectrogram `[window // 2 + 1, F]`, lowest frequency first, `_FLOOR` at least.

    Args:
      sound: `[N]` in -1 to 1.
      window, hop: in samples.
    """
    whole = np.pad(np.asarray(sound, np.float64), (0, -len(sound) % hop))
    magnitude = np.abs(stft(whole, window, hop)).T / (hann(window).sum() / 2)
    return np.maximum(20 * np.log10(np.maximum(magnitude, 1e-9)), _FLOOR)


def picture(sound: np.ndarray, magnify: int = 3) -> np.ndarray:
    """A spectrogram as a picture, uint8 `[H, W, 3]`, high frequencies above."""
    import matplotlib

    level = 1 - decibels(sound)[::-1] / _FLOOR
    colours = matplotlib.colormaps["magma"](level)[..., :3]
    image = (255 * colours).astype(np.uint8)
    return image.repeat(magnify, 0).repeat(magnify, 1)


def draw(path: Path, sounds: Mapping[str, np.ndarray], rate: int, columns: int = 3) -> None:
    """Draws spectrograms side by side, on one scale of time.

    Args:
      path: PNG to write.
      sounds: title -> `[N]` in -1 to 1.
      rate: samples a second.
      columns: pictures in a row.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-len(sounds) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 2.2 * rows), layout="constrained", squeeze=False
    )
    longest = max(map(len, sounds.values())) / rate
    for axis in axes.flat[len(sounds) :]:
        axis.axis("off")
    for axis, (title, sound) in zip(axes.flat, sounds.items(), strict=False):
        axis.imshow(
            decibels(sound),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=_FLOOR,
            vmax=0,
            extent=(0, len(sound) / rate, 0, rate / 2000),
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
