"""Sound files, through libsndfile: WAV, FLAC, OGG and what else it reads."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from research.core.errors import UserError, first_line


def read_sound(path: Path, rate: int, resample: bool = False) -> np.ndarray:
    """The samples of a file, float32 `[N]` in -1 to 1; of several channels their mean.

    Args:
      path: of the file.
      rate: samples a second that are wanted.
      resample: whether a file of another rate is converted, and not refused.

    Raises:
      UserError: there is no such file, it is no sound, it has no samples or another rate.
    """
    import soundfile

    if not path.is_file():
        raise UserError(f"no sound {path}")
    try:
        samples, found = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UserError(f"{path} is no sound that can be read ({first_line(error)})") from error
    if not len(samples):
        raise UserError(f"{path} is empty: it has no samples")
    if not np.isfinite(samples).all():
        raise UserError(f"{path} has samples that are no numbers")
    if found != rate and not resample:
        raise UserError(f"{path} has {found} samples a second, not {rate}; convert it to {rate}")
    return resampled(samples.mean(1), found, rate)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Samples `[N]` at `rate` as float32 at the rate `wanted`, by a polyphase filter."""
    if rate == wanted:
        return np.asarray(samples, np.float32)
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return resample_poly(samples, wanted // common, rate // common).astype(np.float32)


def encode_wav(samples: np.ndarray, rate: int) -> bytes:
    """Samples `[N]`, clipped to -1 to 1, as a mono WAV file of 16 bits."""
    import soundfile

    scaled = np.clip(np.asarray(samples, np.float64), -1, 1) * 32767
    file = io.BytesIO()
    soundfile.write(file, scaled.round().astype(np.int16), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
