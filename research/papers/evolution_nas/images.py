"""Images of three splits, and batches of children that are trained and then judged."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from research.core.errors import UserError
from research.core.experiment import Batch, Source, State
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import KeptImages


class ImageTask:
    """Images to train on, to choose by, and to test the choice on.

    Attributes:
      images: training images, augmented, and the test images.
      valid: the validation images.
      kept: what a finished run keeps of them.

    Args:
      name, folder: of `data.load`.
      image_size, channels, augmentation, statistics_images, num_classes: see `Images`.
      splits: of training, validation and test.
      num_train, num_valid: images that the first two have to have.
      scale: factor of the pixels that networks get.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        image_size: int,
        channels: int,
        splits: tuple[str, str, str],
        num_train: int,
        num_valid: int,
        num_classes: int,
        augmentation: str,
        statistics_images: int,
        scale: float,
    ):
        open_split = ImageSplits(name, image_size, folder, in_memory=True)
        train_split, valid_split, test_split = splits
        make = functools.partial(
            Images,
            open_split,
            image_size,
            channels,
            augmentation=augmentation,
            train_split=train_split,
            num_train=num_train,
            statistics_images=statistics_images,
            num_classes=num_classes,
        )
        self.images = make(test_split=test_split)
        self.valid = make(test_split=valid_split)
        self.kept = KeptImages(self.images, num_classes)
        self._scale, self._num_valid = scale, num_valid

    def scaled(self, images: jax.Array) -> jax.Array:
        """What networks get."""
        return images * self._scale

    def rows(self, split: str) -> Sequence[Any]:
        """Images of "valid" or "test" for `training.map_batches`.

        Raises:
          UserError: the validation images are not as many as the configuration says.
        """
        if split == "test":
            return self.images.test_rows
        self.valid.take_mean(self.images.mean)
        found = len(self.valid.test)
        if found != self._num_valid:
            raise UserError(
                f"data.num_valid is {self._num_valid}, but {self.valid.test!r} is not as large; "
                f"set --config.data.num_valid={found}, or choose another data.valid_split"
            )
        return self.valid.test_rows


class ChildBatches(Source):
    """Training batches, then all validation images in batches, and so on.

    A batch has "image", "label", and "weight" `[B]`: 0 where the last of the validation batches is
    filled up.

    Args:
      task: the images.
      batch_size: images of a batch.
      seed: decides the order of the training images.
      train_steps: batches of each generation that are learned from.
      score_steps: batches that it is judged by.
    """

    def __init__(
        self, task: ImageTask, batch_size: int, seed: int, train_steps: int, score_steps: int
    ):
        self.task, self.batch_size = task, batch_size
        self.stream = task.images.stream(batch_size, seed)
        self.train_steps, self.score_steps = train_steps, score_steps
        weight = jax.ShapeDtypeStruct((batch_size,), np.float32)
        self.spec = {**self.stream.spec, "weight": weight}
        self._judged: Mapping[str, np.ndarray] | None = None
        self._next = 0

    def open(self) -> None:
        self.stream.open()
        self.origin = self.stream.origin
        if self._judged is None:
            found = self.task.rows("valid")
            rows = [found[i] for i in range(len(found))]
            self._judged = {
                "image": np.stack([row["views"][0][0] for row in rows]),
                "label": np.array([row["label"] for row in rows], np.int32),
            }

    def __call__(self, state: State) -> Batch:
        self.open()
        place = self._next % (self.train_steps + self.score_steps)
        self._next += 1
        if place < self.train_steps:
            batch = self.stream(state)
            return {**batch, "weight": np.ones(len(batch["label"]), np.float32)}
        index, processes = jax.process_index(), jax.process_count()
        count = self.batch_size // processes
        first = (place - self.train_steps) * self.batch_size + index * count
        return self._validation(np.arange(first, first + count))

    def _validation(self, places: np.ndarray) -> Batch:
        assert self._judged is not None
        size = len(self._judged["label"])
        batch = {name: values[places % size] for name, values in self._judged.items()}
        return {**batch, "weight": (places < size).astype(np.float32)}

    def get_state(self) -> dict[str, Any]:
        return {"next": self._next, "stream": self.stream.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._next = state["next"]
        self.stream.set_state(state["stream"])
