"""Images as the networks of the paper see them, in three splits."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError
from research.data.images import squares
from research.data.images.contrast import global_contrast_normalize
from research.data.in_memory import ArrayBatches

# Where a pixel is black in all images, its logit would be infinite (pylearn2's bound).
_SMALLEST_MEAN = 1e-7
_SHOWN = 3.0  # deviations of a normalised image that are between black and white


class Splits(NamedTuple):
    """Images `[N, H, W, C]`: to train on, to choose by, to judge by."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class PaperImages:
    """Images with pixels in 0 to 1, or normalised by their own contrast.

    Attributes:
      name, folder: see `squares.load`; the folder is its `data_dir`.
      shape: `(H, H, C)`.
      split_names: of the three splits.
      num_train: images that the training split has to have.
      num_validation: of the validation split, the first so many are used.
      contrast: length of a normalised image, see `global_contrast_normalize`; 0 for pixels in 0
        to 1.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int, int],
        split_names: tuple[str, str, str],
        num_train: int,
        num_validation: int,
        contrast: float = 0.0,
        folder: str = "",
    ):
        self.name, self.folder = name, folder
        self.shape = shape
        self.split_names = split_names
        self.num_train, self.num_validation = num_train, num_validation
        self.contrast = contrast

    @functools.cached_property
    def pixels(self) -> Splits:
        """All images, uint8, opened on first use.

        Raises:
          UserError: the data set is missing, or a split is of another size.
        """
        (train, validation, test), _ = self._read()
        if len(train) != self.num_train:
            raise UserError(
                f"data.num_train is {self.num_train}, but split {self.split_names[0]} of "
                f"{self.name} has {len(train)}; set --config.data.num_train={len(train)}, or "
                "choose another data.train_split"
            )
        if len(validation) < self.num_validation:
            raise UserError(
                f"eval.num_validation is at most {len(validation)}, the size of split "
                f"{self.split_names[1]} of {self.name}, not {self.num_validation}"
            )
        return Splits(train, validation[: self.num_validation], test)

    @functools.cached_property
    def splits(self) -> Splits:
        """All images in the networks' units, float32."""
        return Splits(*(np.asarray(self.prepared(pixels)) for pixels in self.pixels))

    def stream(self, batch_size: int, seed: int) -> ArrayBatches:
        """Batches "image" `[B, H, H, C]` uint8 of the training images."""
        row = {"image": jax.ShapeDtypeStruct(self.shape, np.uint8)}
        return ArrayBatches(
            lambda: ({"image": self.pixels.train}, self._read()[1]), row, batch_size, seed
        )

    def prepared(self, pixels: jax.Array | np.ndarray) -> jax.Array:
        """What a network sees of pixels in 0 to 255: `[B, H, W, C]`."""
        pixels = jnp.asarray(pixels, jnp.float32)
        if self.contrast:
            return global_contrast_normalize(pixels, self.contrast)
        return pixels / 255

    def pictures(self, x: np.ndarray) -> np.ndarray:
        """Images in the networks' units `[N, H, W, C]` as pictures in -1 to 1."""
        return x / np.float32(_SHOWN) if self.contrast else 2 * x - 1

    def marginal_logits(self) -> np.ndarray:
        """The logits of the training images' mean pixels `[H * W * C]` float32."""
        mean = self.pixels.train.mean(0, dtype=np.float64).reshape(-1) / 255
        mean = np.clip(mean, _SMALLEST_MEAN, 1 - _SMALLEST_MEAN)
        return (np.log(mean) - np.log1p(-mean)).astype(np.float32)

    def _read(self) -> tuple[tuple[np.ndarray, ...], str]:
        return _read(self.name, self.split_names, self.shape[0], self.folder)


@functools.lru_cache(maxsize=2)  # arms and seeds of a run see the same images: decoded once
def _read(
    name: str, split_names: tuple[str, str, str], size: int, folder: str
) -> tuple[tuple[np.ndarray, ...], str]:
    """Pixels of each split, which nobody may change, and where the first one comes from."""
    opened = [squares.load(name, split, size, folder) for split in split_names]
    for split, images in zip(split_names, opened, strict=True):
        if not len(images):
            raise UserError(f"split {split} of {name} is empty; choose another")
    arrays = tuple(images.pixels() for images in opened)
    for pixels in arrays:
        pixels.flags.writeable = False
    return arrays, opened[0].origin
