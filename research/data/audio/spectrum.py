"""Spectra of frames: short-time Fourier transform and log-mel features (NumPy)."""

from __future__ import annotations

import numpy as np

MEL_FLOOR = 1e-5  # of a magnitude, before its logarithm is taken
SILENCE = -90.0  # decibels below a full sine
SHOWN_HOP = 40  # samples from column to column of a spectrogram


def stft(x: np.ndarray, window: int, hop: int) -> np.ndarray:
    """The transform of Hann-windowed frames `[F, window // 2 + 1]`, complex.

    Frame i has its middle at sample (i + 1/2) hop: it stands for the samples [i hop, (i + 1) hop).

    Args:
      x: `[N]`, with silence before and after it.
      window: samples under the window, `hop` or more; its difference to `hop` is even.
      hop: samples from one frame to the next, a divisor of N.

    Raises:
      ValueError: the lengths do not go together.
    """
    if len(x) % hop or window < hop or (window - hop) % 2:
        raise ValueError(f"{len(x)} samples, window {window}, hop {hop} do not go together")
    margin = (window - hop) // 2
    padded = np.pad(np.asarray(x, np.float64), margin)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.fft.rfft(frames * hann(window))


def hann(window: int) -> np.ndarray:
    """sin^2, periodic: copies moved by half of it add up to one."""
    return np.sin(np.pi * np.arange(window) / window) ** 2


def mel_filters(bands: int, window: int, rate: int) -> np.ndarray:
    """Triangles `[bands, window // 2 + 1]` evenly spaced in mel = 2595 log10(1 + Hz / 700).

    From 0 Hz to half the rate; each has its peak, 1, where its neighbours begin and end.
    """
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(window, 1 / rate)
    low, middle, high = (corners[i : i + bands, None] for i in range(3))
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.maximum(0.0, np.minimum(rising, falling))


def log_mel(x: np.ndarray, bands: int, window: int, hop: int, rate: int) -> np.ndarray:
    """log10 of the mean magnitude in each mel band `[F, bands]`, float32, `MEL_FLOOR` at least.

    Args:
      x, window, hop: of `stft`.
      bands: so few that each has a frequency of its own.
      rate: samples a second.
    """
    filters = mel_filters(bands, window, rate)
    weight = filters.sum(1)
    if not weight.all():
        raise ValueError(f"{bands} mel bands are too many for a window of {window} samples")
    magnitudes = np.abs(stft(x, window, hop)) / hann(window).sum()
    return np.log10(np.maximum(magnitudes @ (filters.T / weight), MEL_FLOOR)).astype(np.float32)


def decibels(x: np.ndarray, window: int = 160, hop: int = SHOWN_HOP) -> np.ndarray:
    """A spectrogram `[window // 2 + 1, F]`, lowest frequency first, `SILENCE` at least.

    Args:
      x: `[N]` in -1 to 1; its last frame is filled up.
      window, hop: of `stft`.
    """
    whole = np.pad(np.asarray(x, np.float64), (0, -len(x) % hop))
    magnitude = np.abs(stft(whole, window, hop)).T / (hann(window).sum() / 2)
    return np.maximum(20 * np.log10(np.maximum(magnitude, 1e-9)), SILENCE)
