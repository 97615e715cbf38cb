"""Images of a data set as a classifier gets them: opened by name, augmented, cut into test views.

The pixels of a network's input are one of two kinds, as the augmentation says:

- float32, less the mean image of the training set, in units of 255 / 2: AlexNet, ResNet;
- uint8, to be normalized by channel on the device (`normalize`): ImageNet since 2015, and GANs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError
from research.data import pipeline
from research.data.dataset import Dataset, Lazy, Record
from research.data.images import augment
from research.data.labels import check_sample, with_labels
from research.data.load import load
from research.data.procedural import digits, faces, shapes

Views = tuple[np.ndarray, ...]  # each [V, S, S, C]; one entry a scale

AUGMENTATIONS = ("none", "mirror", "pad_crop", "square_crop", "scale_crop")  # float32
CROPS = ("resized", "random", "whole", "square")  # uint8
_COLOURED = ("square_crop", "scale_crop")


class ImageSplits:
    """The splits of an image set by name, each opened once.

    Attributes:
      name: "proc_shapes", "proc_digits", "proc_faces/street" or "proc_faces/studio", all drawn at
        `size` pixels; or a name for `data.load`.
      size: see `name`; of no effect on images that are read.
      folder: `data.load`'s `data_dir`.
      in_memory: decode all images of a split when it is opened; they have one size and fit.
    """

    def __init__(self, name: str, size: int, folder: str = "", in_memory: bool = False):
        self.name = name
        self.size = size
        self.folder = folder
        self.in_memory = in_memory
        self._opened: dict[str, Dataset] = {}

    def __call__(self, split: str) -> Dataset:
        """Opens a split, such as "train[:6400]".

        Raises:
          UserError: there is no such data set or split.
        """
        if split not in self._opened:
            dataset = self._open(split)
            self._opened[split] = self._in_memory(dataset) if self.in_memory else dataset
        return self._opened[split]

    def _in_memory(self, dataset: Dataset) -> Dataset:
        try:
            return dataset.in_memory()
        except ValueError as error:  # NumPy's, of arrays of several shapes
            raise UserError(
                f"images of {dataset!r} have several sizes, where this script keeps them in memory "
                "as one array: scale them to one size first"
            ) from error

    def _open(self, split: str) -> Dataset:
        if self.name == "proc_shapes":
            return shapes.load(split, self.size)
        if self.name == "proc_digits":
            return digits.load(split, self.size)
        if self.name in ("proc_faces/street", "proc_faces/studio"):
            return faces.load(self.name.removeprefix("proc_faces/"), split, self.size)
        return load(self.name, split, self.folder)


class Images:
    """Training images, augmented, and test images, cut into views.

    Nothing is opened before it is used. The training set, the test set and the training set's
    statistics are each made once.

    Args:
      open_split: `split -> Dataset` of records "image" (uint8 `[H, W, C]` or `[H, W]`) and "label",
        such as `ImageSplits`.
      size: side S of the network's input.
      channels: C of the network's input; with 3, grey images are repeated.
      augmentation: how a training image is made. To float32:
        "none": the image.
        "mirror": mirrored half of the time.
        "pad_crop": a crop of the image with a border of 4 pixels, and mirrored (CIFAR).
        "square_crop": from anywhere in the middle square, scaled to 8/7 of `size`, whose mean is
          subtracted before; mirrored, coloured (Krizhevsky et al., 2012).
        "scale_crop": from anywhere at a random scale; mirrored, coloured (He et al., 2015).
        To uint8:
        "resized": a part of random area and aspect, scaled to a square (Szegedy et al., 2014).
        "random": a square anywhere, as high as the image's short side, scaled.
        "whole": the middle square, scaled.
        "square": the middle square, scaled if it is larger, padded with black if it is smaller.
      mirror: whether "resized", "random", "whole" and "square" are also mirrored.
      min_area: smallest share of the image in a "resized" part.
      train_split: of training, and of the statistics.
      test_split: of `test_rows`.
      num_train: what the training set has to have; None for any number.
      reduce: factor by which images are averaged down first; 1 for none.
      stored_side: short side that training images for "resized", "random" and "whole" are then
        scaled down to, which stands for the smaller copies that some releases read; 0 for none.
      statistics_images: how many training images the mean image and the colours are computed from;
        0: the mean is zero.
      short_sides: of the images that test views are cut from; () for images as they are. With
        "square_crop" they are cut from the middle square.
      crops: "one" (the centre) or "ten" test views of each scale.
      test_size: side of a test view; 0 for `size`.
      num_classes: labels are compared with it as they are read; None where they do not matter.

    Raises:
      UserError: there is no such augmentation, or test views that do not go with it.
    """

    def __init__(
        self,
        open_split: Callable[[str], Dataset],
        size: int,
        channels: int = 3,
        *,
        augmentation: str = "none",
        mirror: bool = False,
        min_area: float = 0.08,
        train_split: str = "train",
        test_split: str = "test",
        num_train: int | None = None,
        reduce: int = 1,
        stored_side: int = 0,
        statistics_images: int = 0,
        short_sides: Sequence[int] = (),
        crops: str = "one",
        test_size: int = 0,
        num_classes: int | None = None,
    ):
        self.open_split = open_split
        self.size = size
        self.channels = channels
        self.augmentation = augmentation
        self.mirror = mirror
        self.min_area = min_area
        self.train_split = train_split
        self.test_split = test_split
        self.num_train = num_train
        self.reduce = reduce
        self.stored_side = stored_side
        self.statistics_images = statistics_images
        self.short_sides = tuple(short_sides)
        self.crops = crops
        self.test_size = test_size or size
        self.num_classes = num_classes
        self._mean: np.ndarray | None = None
        self._colours: augment.ColourAxes | None = None
        self._check_settings()

    def _check_settings(self) -> None:
        if self.augmentation not in (*AUGMENTATIONS, *CROPS):
            known = ", ".join((*AUGMENTATIONS, *CROPS))
            raise UserError(f"augmentations of images are {known}, not {self.augmentation!r}")
        if self.augmentation in _COLOURED and not self.statistics_images:
            raise UserError(
                f"the colours of {self.augmentation!r} come from training images: set "
                "--config.data.statistics_images above 0"
            )
        if self.crops not in ("one", "ten"):
            raise UserError(f"test.crops is one or ten, not {self.crops!r}")
        if self.augmentation == "square_crop" and self.short_sides != (self._square_side,):
            raise UserError(
                f"test.short_sides is ({self._square_side},), that of the square which training "
                f"images of {self.size} are cut from, not {self.short_sides}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(S, S, C)` of a training image."""
        return self.size, self.size, self.channels

    @property
    def spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        """A training example, without opening any data."""
        dtype = np.uint8 if self._is_uint8 else np.float32
        return {
            "image": jax.ShapeDtypeStruct(self.shape, dtype),
            "label": jax.ShapeDtypeStruct((), np.int32),
        }

    def images_in(self, views: int) -> int:
        """How many test images have at most so many views of one scale; at least one."""
        each = 10 if self.crops == "ten" and self.short_sides else 1
        if len(self.short_sides) > 1 and self.crops == "one":
            each = 2  # with the mirror
        return max(1, views // each)

    # The data.

    @functools.cached_property
    def train(self) -> Dataset:
        """The training set.

        Raises:
          UserError: it is missing, or has not as many images as the configuration says.
        """
        dataset = self._labelled(self.train_split)
        if self.num_train not in (None, len(dataset)):
            raise UserError(
                f"data.num_train is {self.num_train}, but {dataset!r} is not as large; "
                f"set --config.data.num_train={len(dataset)}, or choose another data.train_split"
            )
        return dataset

    @functools.cached_property
    def test(self) -> Dataset:
        """The test set."""
        return self._labelled(self.test_split)

    def stream(self, batch_size: int, seed: int) -> pipeline.Stream:
        """Augmented training examples "image" and "label", for `Experiment.source`."""
        return pipeline.stream(self._open_train, self.spec, batch_size, seed, self.augmented)

    def plain_stream(self, split: str, batch_size: int, seed: int) -> pipeline.Stream:
        """Examples of any split, not augmented, in random order: to follow an error on."""
        return pipeline.stream(
            lambda: self._labelled(split), self.spec, batch_size, seed, self._plain_example
        )

    @functools.cached_property
    def test_rows(self) -> Sequence[Record]:
        """The test set for `training.map_batches`: "views" (see `views`) and "label" of each."""
        return Lazy(self.test, self._test_row)

    def train_batches(self, num: int, batch_size: int) -> Iterator[np.ndarray]:
        """The first `num` full batches of training images, not augmented: `[B, S, S, C]`."""
        num = min(num, len(self.train) // batch_size)
        for start in range(0, num * batch_size, batch_size):
            yield np.stack([self.plain(self.train[i]) for i in range(start, start + batch_size)])

    # Statistics of the training set.

    def compute_statistics(self) -> None:
        """Computes the mean image, and the colours if they are used, unless that is done already.

        Where the stream opens its data, so that readers in threads find them.
        """
        if self._mean is None:
            self._mean = self._mean_image()
        if self._colours is None and self.augmentation in _COLOURED:
            self._colours = augment.colour_axes(self._sample())

    @property
    def mean(self) -> np.ndarray:
        """Per-pixel mean of (the middle squares of) training images: float32 `[S, S, C]`."""
        self.compute_statistics()
        assert self._mean is not None
        return self._mean

    def take_mean(self, mean: np.ndarray) -> None:
        """Uses a mean image that was computed before, such as that of a finished run."""
        self._mean = mean

    @property
    def colours(self) -> augment.ColourAxes:
        """Principal components of the training images' colours; of coloured augmentations alone."""
        self.compute_statistics()
        assert self._colours is not None
        return self._colours

    def _mean_image(self) -> np.ndarray:
        if not self.statistics_images:
            return np.zeros_like(self._middle(self.train[0]), np.float32)
        return augment.per_pixel_mean(self._sample())

    def _sample(self) -> Iterator[np.ndarray]:
        step = max(1, len(self.train) // self.statistics_images)
        return (self._middle(self.train[i]) for i in range(0, len(self.train), step))

    # Training images.

    def read(self, record: Record) -> np.ndarray:
        """A record's image, uint8 `[H, W, C]`."""
        image = record["image"]
        if image.ndim == 2:
            image = image[..., None]
        if image.shape[-1] == 1 and self.channels == 3:
            image = np.repeat(image, 3, axis=-1)
        elif image.shape[-1] == 3 and self.channels == 1:
            image = augment.luminance(image)
        if self.reduce > 1:
            image = augment.average_pool(image, self.reduce)
        return image

    def read_stored(self, record: Record) -> np.ndarray:
        """A training image as its smaller copy shows it; see `stored_side`."""
        image = self.read(record)
        if not self.stored_side:
            return image
        return augment.resize_short_side(image, self.stored_side)

    def augmented(self, record: Record, rng: np.random.Generator) -> Record:
        """A training example: "image" as `spec` says, "label" int32."""
        image = self._TRANSFORMS[self.augmentation](self, record, rng)
        return {"image": image, "label": np.int32(record["label"])}

    def plain(self, record: Record) -> np.ndarray:
        """An image's middle `[S, S, C]`, not augmented."""
        return augment.centre_crop(self._normalized(self._middle(record)), self.size)

    def _whole_input(self, record: Record) -> np.ndarray:
        """An image that is as large as the input, as it is.

        Raises:
          UserError: it has another size.
        """
        image = self.read(record)
        if image.shape != self.shape:
            raise UserError(
                f"an image of {image.shape[0]} x {image.shape[1]} in {self.train!r}, where "
                f"augmentation {self.augmentation!r} takes {self.size} x {self.size}; choose one "
                "that resizes, such as --config.data.augmentation=scale_crop, or data.image_size"
            )
        return self._normalized(image)

    def _none(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        return self._whole_input(record)

    def _mirror(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        return augment.mirror(self._whole_input(record), rng)

    def _pad_crop(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        # The border is zero, which is the mean only once the mean is subtracted.
        image = augment.pad_and_crop(self._whole_input(record), rng)
        return augment.mirror(image, rng)

    def _square_crop(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        image = augment.crop(self._middle(record) - self.mean, rng, self.size)
        image = augment.jitter_colour(augment.mirror(image, rng), rng, self.colours)
        return image / np.float32(127.5)

    def _scale_crop(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        image = augment.scale_and_crop(self.read(record), rng, self.size)
        image = augment.jitter_colour(augment.mirror(image, rng), rng, self.colours)
        return self._normalized(image)

    def _resized(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        image = augment.resized_crop(self.read_stored(record), rng, self.size, self.min_area)
        return self._maybe_mirrored(image, rng)

    def _random(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        image = self.read_stored(record)
        square = augment.crop(image, rng, min(image.shape[:2]))
        return self._maybe_mirrored(_scaled(square, self.size), rng)

    def _whole(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        image = self.read_stored(record)
        square = augment.centre_crop(image, min(image.shape[:2]))
        return self._maybe_mirrored(_scaled(square, self.size), rng)

    def _square(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        return self._maybe_mirrored(augment.square(self.read(record), self.size), rng)

    _TRANSFORMS = {
        "none": _none,
        "mirror": _mirror,
        "pad_crop": _pad_crop,
        "square_crop": _square_crop,
        "scale_crop": _scale_crop,
        "resized": _resized,
        "random": _random,
        "whole": _whole,
        "square": _square,
    }

    def _maybe_mirrored(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return augment.mirror(image, rng) if self.mirror else image

    # Test images.

    def views(self, record: Record) -> Views:
        """What a test image is judged by: for each scale `[V, S, S, C]`."""
        if not self.short_sides:
            return (self.plain(record)[None],)
        if self.augmentation == "square_crop":
            square = self._normalized(self._middle(record))
            return (self._cut(square, self.test_size),)
        image = self.read(record)
        return tuple(self._views_at(image, short_side) for short_side in self.short_sides)

    def _views_at(self, image: np.ndarray, short_side: int) -> np.ndarray:
        resized = _scaled(image, short_side)
        if len(self.short_sides) == 1 or self.crops == "ten":
            return self._normalized(self._cut(resized, self.test_size))
        # Several scales are the fully convolutional test, which sees mirrors too.
        whole = augment.centre_crop(resized, short_side)
        return self._normalized(np.stack([whole, whole[:, ::-1]]))

    def _cut(self, image: np.ndarray, size: int) -> np.ndarray:
        if self.crops == "ten":
            return augment.ten_crops(image, size)
        return augment.centre_crop(image, size)[None]

    # What these share.

    def _labelled(self, split: str) -> Dataset:
        dataset = self.open_split(split)
        return dataset if self.num_classes is None else with_labels(dataset, self.num_classes)

    @property
    def _is_uint8(self) -> bool:
        return self.augmentation in CROPS

    @property
    def _square_side(self) -> int:
        """Side of "square_crop"'s middle square: 256 for 224."""
        return self.size * 8 // 7

    def _open_train(self) -> Dataset:
        if self.num_classes is not None:
            check_sample(self.train)
            check_sample(self.test)  # now, and not when all training is done
        if not self._is_uint8:
            self.compute_statistics()
        return self.train

    def _plain_example(self, record: Record, rng: np.random.Generator) -> Record:
        return {"image": self.plain(record), "label": np.int32(record["label"])}

    def _test_row(self, record: Record) -> dict[str, Any]:
        return {"views": self.views(record), "label": np.int32(record["label"])}

    def _middle(self, record: Record) -> np.ndarray:
        image = self.read(record)
        if self.augmentation == "square_crop":
            scaled = augment.resize_short_side(image, self._square_side)
            return augment.centre_crop(scaled, self._square_side)
        if self.augmentation == "square":
            return augment.square(image, self.size)
        if image.shape[:2] == (self.size, self.size):
            return image
        return augment.centre_crop(augment.resize_short_side(image, max(256, self.size)), self.size)

    def _normalized(self, image: np.ndarray) -> np.ndarray:
        """Pixels as the network gets them: less the mean image, unless they stay uint8."""
        if self._is_uint8:
            return image
        mean = self.mean
        if image.shape[-3:] != mean.shape:  # another size than in training: the mean colour
            mean = mean.mean((0, 1))
        return (image.astype(np.float32) - mean) / np.float32(127.5)


def _scaled(image: np.ndarray, short_side: int) -> np.ndarray:
    if min(image.shape[:2]) == short_side:
        return image
    return augment.resize_short_side(image, short_side)


def normalize(images: jax.Array, mean: Sequence[float], deviation: Sequence[float]) -> jax.Array:
    """Uint8 `[B, H, W, 3]` to float32, less `mean` and over `deviation` of each channel's 0..1."""
    scaled = images.astype(jnp.float32) / 255
    return (scaled - jnp.asarray(mean)) / jnp.asarray(deviation)
