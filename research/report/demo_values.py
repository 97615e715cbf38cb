"""What a person gives to a demo, as its inputs want it; what a demo gives, as files and words."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from research.core.errors import UserError
from research.data.audio.files import encode_wav, read_sound, resampled
from research.report.demo import (
    Audio,
    Choice,
    Demo,
    Drawing,
    Film,
    Image,
    Input,
    Number,
    Output,
    Probabilities,
    Text,
)
from research.viz.films import encode_gif

SUFFIXES = {Image: ".png", Film: ".gif", Audio: ".wav", Drawing: ".svg"}
_BAR = 20  # characters of a probability of 1


def filled(demo: Demo, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `demo.run` is called with: the values given, checked, and defaults for the rest.

    Raises:
      UserError: an unknown input, or a value that it does not take.
    """
    unknown = [name for name in given if name not in demo.inputs]
    if unknown:
        raise UserError(f"no input {unknown[0]!r}; there are {', '.join(demo.inputs)}")
    values = {**demo.defaults(), **given}
    return {name: _checked(name, demo.inputs[name], value) for name, value in values.items()}


def _checked(name: str, field: Input, value: Any) -> Any:
    match field:
        case Number():
            whole = float(field.step).is_integer() and float(field.default).is_integer()
            number = value if isinstance(value, (int, float)) else math.nan
            if not field.low <= number <= field.high or (whole and number != int(number)):
                kind = "a whole number" if whole else "a number"
                raise UserError(
                    f"{name} takes {kind} from {field.low} to {field.high}, not {value!r}"
                )
            return int(number) if whole else float(number)
        case Choice():
            if value not in field.options:
                raise UserError(f"{name} is one of {', '.join(field.options)}, not {value!r}")
            return value
        case Image():
            return None if value is None else np.asarray(value)
        case Audio():
            return _sound(field, value)
        case Text():
            return str(value)


def _sound(field: Audio, value: Any) -> np.ndarray | None:
    """Samples at the field's rate; the page in the browser gives a rate and whole numbers."""
    if not isinstance(value, tuple):
        return None if value is None else np.asarray(value, np.float32)
    rate, samples = value
    samples = np.asarray(samples)
    if samples.dtype.kind == "i":
        samples = samples / -float(np.iinfo(samples.dtype).min)
    return resampled(samples.reshape(len(samples), -1).mean(1), rate, field.rate)


def read_value(name: str, field: Input, text: str) -> Any:
    """The value of an input from the word that stands for it on a command line.

    Raises:
      UserError: it is no number, or no file with a picture or a sound.
    """
    if isinstance(field, Number):
        try:
            return float(text)
        except ValueError:
            raise UserError(f"{name} takes a number, not {text!r}") from None
    if isinstance(field, Audio):
        return read_sound(Path(text), field.rate, resample=True)
    return read_picture(Path(text)) if isinstance(field, Image) else text


def read_picture(path: Path) -> np.ndarray:
    """Any picture that Pillow reads, upright: uint8 `[H, W, 3]`.

    Raises:
      UserError: there is none.
    """
    try:
        with Pillow.open(path) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"no picture {path}") from None
    except (UnidentifiedImageError, OSError, ValueError, Pillow.DecompressionBombError) as error:
        raise UserError(f"{path} is no picture that can be read ({_line(error)})") from error


def in_words(field: Output, value: Any) -> str:
    """An output as text; of pictures, sounds and films, what they are."""
    match field:
        case Probabilities():
            wide = max(map(len, value), default=0)
            rows = [
                f"{name:{wide}}  {p:7.2%}  {'█' * round(_BAR * p)}" for name, p in value.items()
            ]
            return "\n".join(row.rstrip() for row in rows)
        case Number():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case Image():
            return f"{value.shape[1]} x {value.shape[0]} pixels"
        case Film():
            return f"{len(value)} frames of {value.shape[2]} x {value.shape[1]} pixels"
        case Audio():
            return f"{len(value) / field.rate:.1f} seconds"
        case Drawing():
            return f"{len(value)} characters of SVG"
        case _:
            return str(value)


def as_file(field: Output, value: Any) -> bytes:
    """An output as the content of a file: PNG, GIF, WAV or UTF-8."""
    match field:
        case Image():
            file = io.BytesIO()
            Pillow.fromarray(np.asarray(value)).save(file, "PNG")
            return file.getvalue()
        case Film():
            return encode_gif(value, field.fps, last_seconds=1.0)
        case Audio():
            return encode_wav(value, field.rate)
        case Drawing():
            return value.encode()
        case _:
            return (in_words(field, value) + "\n").encode()


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
