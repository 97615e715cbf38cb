"""What a finished classifier of images needs beside its weights, so that it needs no data."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from research.data.dataset import Record
from research.data.images import augment
from research.data.images.images import Images

EXAMPLES = 6  # test images that a run keeps, to try its model on
_ABOUT, _MEAN = "images.json", "mean_image.npy"


class Example(NamedTuple):
    """A test image `[H, W, 3]` uint8, and its class."""

    picture: np.ndarray
    class_name: str


class KeptImages:
    """An `Experiment.assets` entry: mean image, class names, and a few test images.

    It says how any picture becomes an input of the network: where all images of the data set have
    one size, the picture's middle square is scaled to that, in the data set's own units.

    Attributes:
      images: of the experiment.
      num_classes: outputs of the network.
    """

    def __init__(self, images: Images, num_classes: int):
        self.images, self.num_classes = images, num_classes
        self._about: dict[str, Any] | None = None
        self._pictures: list[np.ndarray] = []

    @property
    def class_names(self) -> Sequence[str]:
        """Of all outputs of the network, those that nothing shows among them."""
        known = self._read()["class_names"]
        return [*known, *(f"class {i}" for i in range(len(known), self.num_classes))]

    @property
    def examples(self) -> list[Example]:
        """Test images, with what they show."""
        labels = self._read()["labels"]
        return [
            Example(picture, self.class_names[label])
            for picture, label in zip(self._pictures, labels, strict=True)
        ]

    def record(self, picture: np.ndarray) -> Record:
        """A picture `[H, W, 3]` or `[H, W]` uint8 as a record of the data set, without a label."""
        about = self._read()
        image = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
        if about["side"]:
            short_side = augment.resize_short_side(image, about["side"])
            image = augment.centre_crop(short_side, about["side"])
        if about["grey"]:
            image = np.asarray(Image.fromarray(image).convert("L"))
        if about["white"] != 255:
            image = image.astype(np.float32) * np.float32(about["white"] / 255)
        return {"image": image}

    def to_files(self) -> dict[str, bytes]:
        """What a run keeps; the test images as PNG."""
        files = {_ABOUT: json.dumps(self._read(), indent=1).encode()}
        if self.images.statistics_images:
            files[_MEAN] = _bytes_of(lambda file: np.save(file, self.images.mean))
        for i, picture in enumerate(self._pictures):
            save = Image.fromarray(picture).save
            files[f"example_{i}.png"] = _bytes_of(lambda file, save=save: save(file, "PNG"))
        return files

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes what `to_files` gave."""
        self._about = json.loads(files[_ABOUT])
        if _MEAN in files:
            self.images.take_mean(np.load(io.BytesIO(files[_MEAN])))
        self._pictures = [
            np.asarray(Image.open(io.BytesIO(files[f"example_{i}.png"])))
            for i in range(len(self._read()["labels"]))
        ]

    def _read(self) -> dict[str, Any]:
        """What is kept in words and numbers; from the data, where no run has kept it."""
        if self._about is None:
            test = self.images.test
            records = [test[i] for i in range(min(EXAMPLES, len(test)))]
            shapes = {record["image"].shape for record in records}
            height, width = records[0]["image"].shape[:2]
            grey = records[0]["image"].ndim == 2 or records[0]["image"].shape[-1] == 1
            white = 255.0
            if records[0]["image"].dtype != np.uint8:  # such as 16 of scikit-learn's digits
                white = float(max(record["image"].max() for record in records))
            self._pictures = [_picture(record["image"], white) for record in records]
            self._about = {
                "class_names": list(test.class_names),
                "labels": [int(record["label"]) for record in records],
                "side": height if len(shapes) == 1 and height == width else 0,
                "grey": grey,
                "white": white,
            }
        return self._about


def _picture(image: np.ndarray, white: float) -> np.ndarray:
    """Any image of a data set as uint8 `[H, W, 3]`."""
    image = image if image.ndim == 3 else image[..., None]
    scaled = image if white == 255 else np.round(image * (255 / white)).astype(np.uint8)
    return np.repeat(scaled, 3, axis=-1) if scaled.shape[-1] == 1 else scaled


def _bytes_of(write: Any) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()
