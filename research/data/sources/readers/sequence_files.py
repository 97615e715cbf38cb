"""Sequences of numbers: pen strokes, sound, music, video with sound."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.data.dataset import Lazy, Record
from research.data.sources.readers.array_files import unpickle_arrays
from research.data.sources.readers.image_files import omniglot_labels
from research.data.sources.readers.opening import Archive, naming

SAMPLE_RATE = 8000  # of all sound here, in samples a second
INSTRUMENTS = ("flute", "cello", "trombone")
REST = -1


def sketches(folder: Path, split: str, file: str) -> Sequence[Record]:
    """strokes int16 [T, 3]: offset x, offset y, and 1 where the pen is lifted after this point."""
    drawings = _object_array(folder / file, "valid" if split == "validation" else split)
    return [{"strokes": drawing} for drawing in drawings]


def omniglot_strokes(folder: Path, split: str) -> Sequence[Record]:
    """points float32 [T, 3] (x, y, milliseconds), stroke int64 [T], drawer, labels as `omniglot`.

    In pixels of the image: x to the right, y upwards from its upper edge, hence negative. `stroke`
    counts the strokes from 0.
    """
    archive = Archive(folder / f"strokes_background_{split}.zip")

    def record(name: str) -> Record:
        points, strokes, stroke = [], [], 0
        text = archive.text(name)
        with archive.naming(name):
            for line in text.split():
                if line == "BREAK":
                    stroke += 1
                elif line != "START":
                    points.append([float(number) for number in line.split(",")])
                    strokes.append(stroke)
            drawing = {
                "points": np.array(points, np.float32).reshape(-1, 3),
                "stroke": np.array(strokes, np.int64),
                "drawer": int(name[-6:-4]) - 1,
            }
        return drawing | omniglot_labels(archive, name)

    return Lazy([n for n in archive.names if n.endswith(".txt")], record)


def spoken_digits(folder: Path, split: str) -> Sequence[Record]:
    """Records have TFDS's features: audio int64 [T], label, audio/filename.

    A filename is `<digit>_<speaker>_<take>.wav`.
    """
    archive = Archive(folder / "recordings.zip")

    def record(name: str) -> Record:
        file = name.rsplit("/", 1)[1]
        return {
            "audio": archive.audio(name, SAMPLE_RATE).astype(np.int64),
            "label": int(file.split("_")[0]),
            "audio/filename": file,
        }

    return Lazy(archive.names, record)


def instrument_notes(folder: Path, split: str) -> Sequence[Record]:
    """audio int16 [T], label (of `INSTRUMENTS`), note such as "Gs5", id (file name)."""
    archive = Archive(folder / "notes_8khz.zip")

    def record(name: str) -> Record:
        instrument, file = name.split("/")
        with archive.naming(name):
            label = INSTRUMENTS.index(instrument)
        return {
            "audio": archive.audio(name, SAMPLE_RATE),
            "label": label,
            "note": file.split("_")[1],
            "id": file,
        }

    return Lazy(archive.names, record)


def chorales(folder: Path, split: str, file: str) -> Sequence[Record]:
    """notes int64 [T, 4]: MIDI numbers sounding in each step, `REST` where there are fewer."""
    path = folder / file
    part = "valid" if split == "validation" else split
    with naming(path):
        pieces = json.loads(path.read_bytes())[part]
        return [
            {"notes": np.array([step + [REST] * (4 - len(step)) for step in piece], np.int64)}
            for piece in pieces
        ]


def chorale_voices(folder: Path, split: str) -> Sequence[Record]:
    """notes int64 [T, 4]: MIDI numbers of soprano, alto, tenor, bass each sixteenth, or `REST`."""
    part = "valid" if split == "validation" else split
    pieces = _object_array(folder / "Jsb16thSeparated.npz", part)
    return [{"notes": np.nan_to_num(piece, nan=REST).astype(np.int64)} for piece in pieces]


def lip_clips(folder: Path, split: str) -> Sequence[Record]:
    """video uint8 [75, 72, 90] (3 s), audio int16 [23808], text, id."""
    path = folder / "grid10.npz"
    with naming(path), np.load(path) as clips:
        return [
            {
                "video": clips[f"video_{name}"],
                "audio": clips[f"audio_{name}"],
                "text": str(text),
                "id": str(name),
            }
            for name, text in zip(clips["names"], clips["text"], strict=True)
        ]


def _object_array(path: Path, key: str) -> np.ndarray:
    """An array of arrays out of an npz file, as old versions of NumPy wrote them."""
    with naming(path, key), zipfile.ZipFile(path) as archive:
        file = io.BytesIO(archive.read(f"{key}.npy"))
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return unpickle_arrays(file, "latin1")
