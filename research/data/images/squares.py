"""Image sets as squares of one size, whatever they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from research.core.errors import UserError
from research.data import pipeline
from research.data.dataset import Lazy, Record
from research.data.images import augment
from research.data.images.images import ImageSplits


class Squares(Sequence[Record]):
    """Records with an "image" of any shape, seen as squares of one size (`augment.square`)."""

    def __init__(self, records: Sequence[Record], size: int):
        self.records = records
        self.size = size
        self.origin = getattr(records, "origin", "")

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:  # an integer only
        record = self.records[index]
        return {**record, "image": augment.square(_pixels(record["image"]), self.size)}

    def __repr__(self) -> str:
        return f"{self.records!r} at {self.size} px"

    def choose(self, rows: np.ndarray | None) -> Squares:
        """The records of these indices only; all when None."""
        if rows is None:
            return self
        return Squares(Lazy(rows.tolist(), self.records.__getitem__), self.size)

    def pixels(self, num: int | None = None) -> np.ndarray:
        """The first `num` images, or all: uint8 `[num, size, size, C]`."""
        rows = range(len(self) if num is None else num)
        return np.stack([self[i]["image"] for i in rows])

    def images(self, num: int | None = None) -> np.ndarray:
        """The first `num` images, or all: float32 `[num, size, size, C]` in [-1, 1]."""
        return self.pixels(num) / np.float32(127.5) - 1

    def labels(self) -> np.ndarray:
        """int64 `[N]`.

        Raises:
          UserError: the records have none, or one is below 0, as in splits without labels.
        """
        missing = [i for i, record in enumerate(self.records) if "label" not in record]
        if missing:
            raise UserError(f"record {missing[0]} of {self.records!r} has no label")
        labels = np.array([record["label"] for record in self.records], np.int64)
        if len(labels) and labels.min() < 0:
            first = int(np.argmax(labels < 0))
            raise UserError(
                f"record {first} of {self.records!r} has the label {labels[first]}, which is no "
                "class; choose a split with labels"
            )
        return labels

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """All `images` and `labels`."""
        return self.images(), self.labels()


def _pixels(image: np.ndarray) -> np.ndarray:
    """uint8 `[H, W, C]`: grey images may have no channel, and scikit-learn's digits go to 16."""
    if image.dtype != np.uint8:
        image = np.round(image * np.float32(255 / 16)).astype(np.uint8)
    return image if image.ndim == 3 else image[..., None]


def load(name: str, split: str, size: int, data_dir: str) -> Squares:
    """A data set at `size` pixels, by a name of `ImageSplits`."""
    return Squares(ImageSplits(name, size, data_dir)(split), size)


class HeldOut(NamedTuple):
    """Images to train a generative model on, and others to judge it by."""

    train: Squares
    test: Squares


def load_held_out(
    name: str, train_split: str, test_split: str, size: int, data_dir: str, num_judged: int
) -> HeldOut:
    """Both splits of a data set.

    Args:
      name, size, data_dir: see `load`.
      train_split, test_split: what is trained on, what samples are compared with.
      num_judged: as many images of each are compared.

    Raises:
      UserError: a data set is missing, or a split has too few images.
    """
    train, test = (load(name, split, size, data_dir) for split in (train_split, test_split))
    if num_judged > min(len(train), len(test)):
        raise UserError(f"eval.num_images is at most {min(len(train), len(test))}")
    return HeldOut(train, test)


def stream(
    open_images: Callable[[], Squares],
    image_shape: tuple[int, int, int],
    batch_size: int,
    seed: int,
    *,
    labels: bool = False,
) -> pipeline.Stream:
    """Batches of "image" uint8 `[B, H, W, C]` and, if asked for, "label" int32 `[B]`."""
    spec = {"image": jax.ShapeDtypeStruct(image_shape, np.uint8)}
    if labels:
        spec["label"] = jax.ShapeDtypeStruct((), np.int32)
    return pipeline.stream(open_images, spec, batch_size, seed)
