"""Images and texts with labels, whole splits of them as arrays in memory."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from research import data
from research.core.errors import UserError
from research.data.dataset import Dataset, Record
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import KeptImages
from research.data.images.whitening import Whitening
from research.data.in_memory import ArrayBatches
from research.data.labels import with_labels
from research.data.text.bag_of_words import BagOfWords
from research.papers.adam import python_packages

PARTS = ("train", "validation", "test")
SHOWN = 4  # test texts that a run keeps, to try its model on
_CLASS_NAMES = {"imdb_reviews": ("negative", "positive")}
_TEXTS = "texts.json"

Arrays = dict[str, np.ndarray]


class _Examples:
    """What both kinds share; an entry of `Experiment.assets`.

    Attributes:
      shape, dtype: of one input.
    """

    shape: tuple[int, ...]
    dtype: Any

    def parts(self) -> Mapping[str, Arrays]:
        """ "train", "validation" and "test" -> "input" `[N, ...]` and "label" `[N]` int32."""
        raise NotImplementedError

    def origin(self) -> str:
        """Which data they are."""
        raise NotImplementedError

    def stream(self, batch_size: int, seed: int) -> ArrayBatches:
        """Batches "input" `[B, ...]` and "label" `[B]` of the training part."""
        row = {
            "input": jax.ShapeDtypeStruct(self.shape, self.dtype),
            "label": jax.ShapeDtypeStruct((), np.int32),
        }
        return ArrayBatches(lambda: (self.parts()["train"], self.origin()), row, batch_size, seed)

    def rows(self, part: str) -> Sequence[Record]:
        """A part for `training.map_batches`."""
        arrays = self.parts()[part]
        return [
            {"input": x, "label": label}
            for x, label in zip(arrays["input"], arrays["label"], strict=True)
        ]


class ImageExamples(_Examples):
    """Images with pixels in 0 to 1, or whitened: float32 `[S, S, C]`.

    Args:
      name, folder: of `data.load`.
      splits: of the three parts, in the order of `PARTS`.
      size, channels: of an image.
      num_train: images that the training part has to have.
      num_classes: of the labels.
      scale: makes pixels as `Images` gives them ones in 0 to 1.
      whitening: what is added to variances in whitening; 0 for images as they are.
    """

    dtype = np.float32

    def __init__(
        self,
        name: str,
        folder: str,
        splits: Sequence[str],
        *,
        size: int,
        channels: int,
        num_train: int,
        num_classes: int,
        scale: float,
        whitening: float,
    ):
        train, validation, test = splits
        open_split = ImageSplits(name, size, folder, in_memory=True)
        make = functools.partial(
            Images, open_split, size, channels, train_split=train, num_classes=num_classes
        )
        self.images = make(test_split=test, num_train=num_train)
        self._validation = make(test_split=validation)
        self.kept = KeptImages(self.images, num_classes)
        self.shape = (size, size, channels)
        self.scale, self.regularization = scale, whitening
        self._whitening: Whitening | None = None

    def origin(self) -> str:
        return self.images.train.origin

    def parts(self) -> Mapping[str, Arrays]:
        return self._arrays

    @functools.cached_property
    def _arrays(self) -> Mapping[str, Arrays]:
        datasets = (self.images.train, self._validation.test, self.images.test)
        return {
            part: {
                "input": self.inputs(list(dataset)),
                "label": np.array([record["label"] for record in dataset], np.int32),
            }
            for part, dataset in zip(PARTS, datasets, strict=True)
        }

    @property
    def class_names(self) -> Sequence[str]:
        """Of all labels."""
        return self.kept.class_names

    @property
    def whitening(self) -> Whitening | None:
        """Of the training images; None where images stay as they are."""
        if self._whitening is None and self.regularization:
            self._whitening = Whitening.fit(
                self._pixels(list(self.images.train)), self.regularization
            )
        return self._whitening

    def inputs(self, records: Sequence[Record]) -> np.ndarray:
        """Records of the data set as the network gets them: `[N, S, S, C]`."""
        pixels = self._pixels(records)
        return pixels if self.whitening is None else self.whitening(pixels)

    def _pixels(self, records: Sequence[Record]) -> np.ndarray:
        images = np.stack([self.images.plain(record) for record in records])
        return np.clip(images * np.float32(self.scale), 0, 1)

    def to_files(self) -> dict[str, bytes]:
        files = self.kept.to_files()
        return files if self.whitening is None else {**files, **self.whitening.to_files()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        self.kept.from_files(files)
        if self.regularization:
            self._whitening = Whitening.from_files(files)


class WordExamples(_Examples):
    """Texts as bags of the commonest words of the training texts: uint8 `[num_words]`.

    Args:
      name: "python_packages", or for `data.load`, of records "text" and "label".
      folder: of `data.load`.
      splits: of the three parts, in the order of `PARTS`.
      num_words: how many words count.
      num_train: texts that the training part has to have.
      num_classes: of the labels.
    """

    dtype = np.uint8

    def __init__(
        self,
        name: str,
        folder: str,
        splits: Sequence[str],
        *,
        num_words: int,
        num_train: int,
        num_classes: int,
    ):
        self.shape = (num_words,)
        self._setting = (name, folder, tuple(splits), num_words, num_train, num_classes)
        self._kept: tuple[BagOfWords, tuple[str, ...], tuple[str, ...]] | None = None

    def parts(self) -> Mapping[str, Arrays]:
        return _bags(*self._setting)[0]

    def origin(self) -> str:
        return _bags(*self._setting)[1]

    @property
    def words(self) -> BagOfWords:
        """The words that count."""
        return self._what_is_kept()[0]

    @property
    def class_names(self) -> Sequence[str]:
        """Of all labels."""
        return self._what_is_kept()[1]

    @property
    def texts(self) -> Sequence[str]:
        """Some of the test texts."""
        return self._what_is_kept()[2]

    def to_files(self) -> dict[str, bytes]:
        about = {"class_names": self.class_names, "texts": self.texts}
        return {**self.words.to_files(), _TEXTS: json.dumps(about).encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        about = json.loads(files[_TEXTS])
        words = BagOfWords.from_files(files)
        self._kept = words, tuple(about["class_names"]), tuple(about["texts"])

    def _what_is_kept(self) -> tuple[BagOfWords, tuple[str, ...], tuple[str, ...]]:
        return self._kept or _bags(*self._setting)[2]


@functools.lru_cache(maxsize=1)  # arms and seeds of a run see the same texts
def _bags(
    name: str,
    folder: str,
    splits: tuple[str, ...],
    num_words: int,
    num_train: int,
    num_classes: int,
) -> tuple[dict[str, Arrays], str, tuple[BagOfWords, tuple[str, ...], tuple[str, ...]]]:
    """Arrays of all parts; where they come from; words, names of the classes, and some texts.

    Raises:
      UserError: the training part is not `num_train` texts, or a part has none.
    """
    datasets = [with_labels(_open(name, split, folder), num_classes) for split in splits]
    for dataset in datasets:
        if not len(dataset):
            raise UserError(f"{dataset!r} is empty; choose another split")
    if len(datasets[0]) != num_train:
        raise UserError(
            f"data.num_train is {num_train}, but {datasets[0]!r} is not as large; "
            f"set --config.data.num_train={len(datasets[0])}, or choose another data.train_split"
        )
    words = BagOfWords.train((record["text"] for record in datasets[0]), num_words)
    parts = {
        part: {
            "input": np.stack([words(record["text"], num_words) for record in dataset]),
            "label": np.array([record["label"] for record in dataset], np.int32),
        }
        for part, dataset in zip(PARTS, datasets, strict=True)
    }
    names = datasets[0].class_names or _CLASS_NAMES.get(name, ())
    names = (*names, *(f"class {i}" for i in range(len(names), num_classes)))
    test = datasets[-1]
    texts = tuple(test[i]["text"] for i in range(min(SHOWN, len(test))))
    return parts, datasets[0].origin, (words, names, texts)


def _open(name: str, split: str, folder: str) -> Dataset:
    if name == "python_packages":
        return python_packages.load(split)
    return data.load(name, split, folder)
