"""Image sets as squares of one size, whatever they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from research.data.dataset import Lazy, Record
from research.data.load import load as load_records
from research.data.procedural import faces


def square(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 [size, size, C] of an image uint8 [H, W, C].

    A smaller image is padded with black on all sides (MNIST's 28 to 32 px); a larger one is scaled,
    shorter side to `size`, and cropped in the centre.
    """
    height, width, channels = image.shape
    if min(height, width) > size:
        scale = size / min(height, width)
        shape = round(width * scale), round(height * scale)
        flat = image[..., 0] if channels == 1 else image
        scaled = Image.fromarray(flat).resize(shape, Image.Resampling.BILINEAR)
        image = np.asarray(scaled).reshape(shape[1], shape[0], channels)
    before = [max(0, size - side) // 2 for side in image.shape[:2]]
    after = [max(0, size - side) - b for side, b in zip(image.shape[:2], before, strict=True)]
    image = np.pad(image, (*zip(before, after, strict=True), (0, 0)))
    top, left = ((side - size) // 2 for side in image.shape[:2])
    return image[top : top + size, left : left + size]


class Squares(Sequence[Record]):
    """Records with an "image" of any shape, seen as squares of one size."""

    def __init__(self, records: Sequence[Record], size: int):
        self.records = records
        self.size = size
        self.origin = getattr(records, "origin", "")

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:  # an integer only
        record = self.records[index]
        return {**record, "image": square(record["image"], self.size)}

    def __repr__(self) -> str:
        return f"{self.records!r} at {self.size} px"

    def choose(self, rows: np.ndarray | None) -> Squares:
        """The records of these indices only; all when None."""
        if rows is None:
            return self
        return Squares(Lazy(rows.tolist(), self.records.__getitem__), self.size)

    def images(self, num: int | None = None) -> np.ndarray:
        """The first `num` images, or all: float32 [num, size, size, C] in [-1, 1]."""
        rows = range(len(self) if num is None else num)
        return np.stack([self[i]["image"] for i in rows]) / np.float32(127.5) - 1

    def labels(self) -> np.ndarray:
        """int64 [N]."""
        return np.array([record["label"] for record in self.records], np.int64)

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """All `images` and `labels`."""
        return self.images(), self.labels()


def load(name: str, split: str, size: int, data_dir: str) -> Squares:
    """A data set at `size` px: "proc_faces/street" or "/studio", or what `data.load` finds."""
    if name == "proc_faces/street":
        return Squares(faces.load("street", split, size), size)
    if name == "proc_faces/studio":
        return Squares(faces.load("studio", split, size), size)
    return Squares(load_records(name, split, data_dir), size)
