"""From records with "image" and "label" to a classifier's inputs, in training and in testing."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from research.core.errors import UserError
from research.data.dataset import Dataset, Record
from research.data.images import augment
from research.data.load import load
from research.data.procedural import shapes

_AUGMENTATIONS = ("none", "mirror", "pad_crop", "square_crop", "scale_crop")
Views = list[np.ndarray]  # each [V, S, S, 3] float32; one entry a scale


def opener(name: str, size: int, folder: str) -> Callable[[str], Dataset]:
    """`split -> Dataset`: of "proc_shapes", drawn at `size` pixels, or of what `load` finds."""

    def open_split(split: str) -> Dataset:
        if name == "proc_shapes":
            return shapes.load(split, size)
        return load(name, split, folder)

    return open_split


@dataclasses.dataclass(frozen=True, eq=False)
class Photographs:
    """Augments training images, cuts test images into views, subtracts the training mean.

    Attributes:
      open_split: `split -> Dataset` of records "image" (uint8 `[H, W, 3]`) and "label".
      train_split: where the mean and the colours are computed.
      size: side of the network's input.
      augmentation: "none"; "mirror"; "pad_crop" (4 pixels, and mirror); "square_crop" (from
        anywhere in the middle square, scaled to 8/7 of `size`, whose mean is subtracted before;
        mirror and colour: Krizhevsky et al., 2012); "scale_crop" (scale jitter, mirror and colour).
      reduce: factor by which images are averaged down first; 1 for none.
      statistics_images: how many training images the mean and the colours come from; 0: the mean
        is zero.
      short_sides: of the images that test views are cut from; () for images as they are. With
        "square_crop" they are cut from the middle square.
      crops: "one" (the centre) or "ten" of each.
    """

    open_split: Callable[[str], Dataset]
    train_split: str
    size: int
    augmentation: str
    reduce: int
    statistics_images: int
    short_sides: tuple[int, ...]
    crops: str

    def __post_init__(self) -> None:
        if self.augmentation not in _AUGMENTATIONS:
            raise UserError(
                f"data.augmentation is {', '.join(_AUGMENTATIONS)}, not {self.augmentation!r}"
            )
        if self.crops not in ("one", "ten"):
            raise UserError(f"test.crops is one or ten, not {self.crops!r}")
        if self.augmentation == "square_crop" and self.short_sides != (self._square,):
            raise UserError(
                f"test.short_sides is ({self._square},), that of the square which training images "
                f"of {self.size} are cut from, not {self.short_sides}"
            )

    @property
    def _square(self) -> int:
        """Side of the middle square: 256 for 224."""
        return self.size * 8 // 7

    @functools.cached_property
    def train(self) -> Dataset:
        return self.open_split(self.train_split)

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """Per-pixel mean of (the middle squares of) training images, float32 `[S, S, 3]`."""
        if not self.statistics_images:
            return np.zeros_like(self._middle(self.train[0]), np.float32)
        return augment.per_pixel_mean(self._sample())

    @functools.cached_property
    def colours(self) -> augment.ColourAxes:
        return augment.colour_axes(self._sample())

    def open_train(self) -> Dataset:
        """The training set, for `pipeline.stream`; its statistics are computed here, once."""
        self.mean  # noqa: B018
        if self.augmentation in ("square_crop", "scale_crop"):
            self.colours  # noqa: B018
        return self.train

    def augmented(self, record: Record, rng: np.random.Generator) -> Record:
        """A training example: "image" float32 `[S, S, 3]` about 0, in units of 255 / 2; "label"."""
        name = self.augmentation
        if name == "square_crop":
            image = augment.crop(self._middle(record) - self.mean, rng, self.size)
            image = augment.jitter_colour(augment.mirror(image, rng), rng, self.colours)
            return {"image": image / np.float32(127.5), "label": np.int32(record["label"])}
        image = self._reduced(record)
        if name == "scale_crop":
            image = augment.scale_and_crop(image, rng, self.size)
            image = augment.jitter_colour(augment.mirror(image, rng), rng, self.colours)
        image = self._normalized(image)
        if name == "pad_crop":
            image = augment.pad_and_crop(image, rng)
        if name in ("mirror", "pad_crop"):
            image = augment.mirror(image, rng)
        return {"image": image, "label": np.int32(record["label"])}

    def plain(self, record: Record) -> np.ndarray:
        """A training example's middle, float32 `[S, S, 3]`, not augmented."""
        return augment.centre_crop(self._normalized(self._middle(record)), self.size)

    def train_batches(self, num: int, size: int) -> Iterator[np.ndarray]:
        """The first `num` full batches of `plain` training images, `[size, S, S, 3]`."""
        for first in range(0, min(num, len(self.train) // size) * size, size):
            yield np.stack([self.plain(self.train[i]) for i in range(first, first + size)])

    def views(self, record: Record) -> Views:
        """What a test image is judged by, one array for each scale."""
        if not self.short_sides:
            return [self.plain(record)[None]]
        if self.augmentation == "square_crop":
            square = self._normalized(self._middle(record))
            ten = self.crops == "ten"
            return [
                augment.ten_crops(square, self.size)
                if ten
                else augment.centre_crop(square, self.size)[None]
            ]
        image, views = self._reduced(record), []
        for short_side in self.short_sides:
            resized = augment.resize_short_side(image, short_side)
            if self.crops == "ten":
                views.append(self._normalized(augment.ten_crops(resized, self.size)))
                continue
            side = self.size if len(self.short_sides) == 1 else short_side
            crop = augment.centre_crop(resized, side)
            # Several scales are the fully convolutional test, which sees mirrors too.
            pair = [crop] if len(self.short_sides) == 1 else [crop, crop[:, ::-1]]
            views.append(self._normalized(np.stack(pair)))
        return views

    def _sample(self) -> Iterator[np.ndarray]:
        step = max(1, len(self.train) // self.statistics_images)
        return (self._middle(self.train[i]) for i in range(0, len(self.train), step))

    def _middle(self, record: Record) -> np.ndarray:
        image = self._reduced(record)
        if self.augmentation == "square_crop":
            scaled = augment.resize_short_side(image, self._square)
            return augment.centre_crop(scaled, self._square)
        if image.shape[:2] == (self.size, self.size):
            return image
        return augment.centre_crop(augment.resize_short_side(image, max(256, self.size)), self.size)

    def _reduced(self, record: Record) -> np.ndarray:
        image = record["image"]
        image = image[..., None] if image.ndim == 2 else image
        return image if self.reduce == 1 else augment.average_pool(image, self.reduce)

    def _normalized(self, image: np.ndarray) -> np.ndarray:
        mean = self.mean
        if image.shape[-3:] != mean.shape:  # another size than in training: the mean colour
            mean = mean.mean((0, 1))
        return (image.astype(np.float32) - mean) / np.float32(127.5)
