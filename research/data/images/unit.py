"""Small images as vectors with entries in 0 to 1, all of a split in memory."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image

from research.core.errors import UserError
from research.data.in_memory import ArrayBatches
from research.data.load import load

EXAMPLES = 12  # test images that a run keeps, to try its model on
_FILE = "examples.npy"


class UnitImages:
    """Grey images of one size; 0 is black or no ink, 1 is white or ink, as in the data.

    An entry of `Experiment.assets`: a run keeps some test images.

    Attributes:
      name, folder: of `data.load`.
      shape: `(H, W)`, enlarged.
      train_split, test_split: of `data.load`.
      num_train: images that the training split has to have.
      enlarge: factor by which images are made larger, bilinearly.
      origin: which data the training images are, once they are open.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int],
        train_split: str,
        test_split: str,
        num_train: int,
        folder: str = "",
        enlarge: int = 1,
    ):
        self.name, self.folder = name, folder
        self.shape = shape
        self.enlarge = enlarge
        self.train_split, self.test_split = train_split, test_split
        self.num_train = num_train
        self.origin = ""
        self._examples: np.ndarray | None = None

    @property
    def size(self) -> int:
        """D = H W."""
        return self.shape[0] * self.shape[1]

    @functools.cached_property
    def train(self) -> np.ndarray:
        """Training images `[N, D]` float32.

        Raises:
          UserError: they are missing, of another size, or not `num_train`.
        """
        self.origin, images = self._read(self.train_split)
        if len(images) != self.num_train:
            raise UserError(
                f"data.num_train is {self.num_train}, but this is not as large: {self.origin}; "
                f"set --config.data.num_train={len(images)}, or choose another data.train_split"
            )
        return images

    @functools.cached_property
    def test(self) -> np.ndarray:
        """Test images `[N, D]` float32."""
        return self._read(self.test_split)[1]

    @property
    def examples(self) -> np.ndarray:
        """The first test images `[K, D]`; from the run where it has kept them."""
        return self.test[:EXAMPLES] if self._examples is None else self._examples

    def stream(self, batch_size: int, seed: int) -> ArrayBatches:
        """Batches "image" `[B, D]` float32 and "index" `[B]` int32 of the training images."""
        row = {
            "image": jax.ShapeDtypeStruct((self.size,), np.float32),
            "index": jax.ShapeDtypeStruct((), np.int32),
        }
        return ArrayBatches(self._open, row, batch_size, seed)

    def rows(self, images: np.ndarray) -> Sequence[dict[str, Any]]:
        """Images `[N, D]` for `training.map_batches`: "image", and "index" from 0."""
        return [{"image": image, "index": np.int32(i)} for i, image in enumerate(images)]

    def pictures(self, x: Any) -> np.ndarray:
        """Vectors `[N, D]` in 0 to 1 as images `[N, H, W, 1]` in -1 to 1, for grids."""
        return 2 * np.asarray(x, np.float32).reshape(-1, *self.shape, 1) - 1

    def to_files(self) -> dict[str, bytes]:
        file = io.BytesIO()
        np.save(file, self.examples)
        return {_FILE: file.getvalue()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        self._examples = np.load(io.BytesIO(files[_FILE]))

    def _open(self) -> tuple[dict[str, np.ndarray], str]:
        images = self.train
        assert len(self.test)  # opened now, and not when all training is done
        return {"image": images, "index": np.arange(len(images), dtype=np.int32)}, self.origin

    def _read(self, split: str) -> tuple[str, np.ndarray]:
        return _read(self.name, split, self.folder, self.shape, self.enlarge)


@functools.lru_cache(maxsize=4)  # arms and seeds of a run see the same images: decoded once
def _read(
    name: str, split: str, folder: str, shape: tuple[int, int], enlarge: int
) -> tuple[str, np.ndarray]:
    """Where a split's images come from, and the images `[N, D]`, which nobody may change."""
    dataset = load(name, split, folder)
    if not len(dataset):
        raise UserError(f"{dataset!r} is empty; choose another split")
    images = dataset.arrays()["image"]
    height, width = (side // enlarge for side in shape)
    if images.shape[1:] not in ((height, width), (height, width, 1)):
        raise UserError(
            f"{dataset!r} has images {list(images.shape[1:])}, but data.height and data.width "
            f"are {height} and {width}; choose the variant that goes with this data"
        )
    # Of scikit-learn's digits, which are float32, ink is 16.
    white = 255 if images.dtype == np.uint8 else images.max()
    images = images.reshape(-1, height, width).astype(np.float32) / np.float32(white)
    if enlarge > 1:
        images = np.stack([_resized(image, shape) for image in images])
    images = images.reshape(len(images), -1)
    images.flags.writeable = False
    return dataset.origin, images


def _resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR))
