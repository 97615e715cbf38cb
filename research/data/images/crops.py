"""Training and test images as uint8 squares, normalized on the device: ImageNet since 2015."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError
from research.data.dataset import Record
from research.data.images import augment

CROPS = ("resized", "random", "whole")


@dataclasses.dataclass(frozen=True)
class Crops:
    """From records with "image" (uint8 `[H, W, 3]` or `[H, W]`) and "label" to inputs.

    Attributes:
      size: side of a training image.
      crop: of training: "resized" (`augment.resized_crop`), "random" (a square anywhere, as high as
        the image's short side) or "whole" (the middle square); the last two scaled to `size`.
      min_area: smallest share of the image in a resized crop.
      mirror: half of the training images are mirrored.
      reduce: factor by which images are averaged down first; 1 for none.
      stored_side: short side that images are then scaled down to, which stands for the smaller
        copies that some releases read; 0 for none.
    """

    size: int
    crop: str = "resized"
    min_area: float = 0.08
    mirror: bool = True
    reduce: int = 1
    stored_side: int = 0

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise UserError(f"data.crop is {', '.join(CROPS)}, not {self.crop!r}")

    def read(self, record: Record) -> np.ndarray:
        """A record's image, uint8 `[H, W, 3]`."""
        image = record["image"]
        if image.ndim == 2 or image.shape[-1] == 1:
            image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=-1)
        if self.reduce > 1:
            image = augment.average_pool(image, self.reduce)
        if self.stored_side:
            image = augment.resize_short_side(image, self.stored_side)
        return image

    def augmented(self, record: Record, rng: np.random.Generator) -> Record:
        """A training example: "image" uint8 `[size, size, 3]`, "label" int32."""
        image = self.read(record)
        if self.crop == "resized":
            image = augment.resized_crop(image, rng, self.size, self.min_area)
        else:
            side = min(image.shape[:2])
            square = (
                augment.crop(image, rng, side)
                if self.crop == "random"
                else augment.centre_crop(image, side)
            )
            image = _scaled(square, self.size)
        if self.mirror:
            image = augment.mirror(image, rng)
        return {"image": image, "label": np.int32(record["label"])}

    def centre(self, record: Record, size: int, short_side: int) -> np.ndarray:
        """A test image: its middle `[size, size, 3]` at `short_side` pixels."""
        return augment.centre_crop(_scaled(self.read(record), short_side), size)


def _scaled(image: np.ndarray, short_side: int) -> np.ndarray:
    same = min(image.shape[:2]) == short_side
    return image if same else augment.resize_short_side(image, short_side)


def normalize(images: jax.Array, mean: Sequence[float], deviation: Sequence[float]) -> jax.Array:
    """Uint8 `[B, H, W, 3]` to float32, less `mean` and over `deviation` of each channel's 0..1."""
    scaled = images.astype(jnp.float32) / 255
    return (scaled - jnp.asarray(mean)) / jnp.asarray(deviation)
