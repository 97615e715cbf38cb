"""Rectangular validation: test images of similar shape together, little of them cut away.

Images are sorted by aspect and cut into batches; all images of a batch are cropped to the batch's
mean aspect, so that a batch has one shape and a network with global pooling sees nearly all of each
image (Howard et al., 2018, the released code of «ImageNet in 18 minutes»).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

MULTIPLE = 8  # of pixels; tensor cores


@dataclasses.dataclass(frozen=True)
class TestBatch:
    """Test images that go through the network together.

    Attributes:
      indices: of the images; fewer than a full batch in the last one, none in one that only keeps
        workers in step.
      shape: (height, width) of every image in it.
    """

    indices: tuple[int, ...]
    shape: tuple[int, int]


def crop_shape(aspect: float, size: int) -> tuple[int, int]:
    """(height, width) of a crop of about `aspect` (width / height): the short side is `size`, the
    long one the multiple of 8 at or below."""
    # A hair more, or 28 * (40 / 28) would be below 40.
    long = int(size * max(aspect, 1 / aspect) * (1 + 1e-6)) // MULTIPLE * MULTIPLE
    long = max(long, size)
    return (size, long) if aspect >= 1 else (long, size)


def rectangular_batches(
    shapes: Sequence[tuple[int, int]], batch_size: int, size: int
) -> list[TestBatch]:
    """Batches of images in the order of their aspect; `shapes` are their (height, width)."""
    aspects = np.array([width / height for height, width in shapes])
    order = np.argsort(aspects, kind="stable")
    chunks = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [
        TestBatch(tuple(map(int, chunk)), crop_shape(float(aspects[chunk].mean()), size))
        for chunk in chunks
    ]


def square_batches(count: int, batch_size: int, size: int) -> list[TestBatch]:
    """Batches of images in their own order, all square."""
    return [
        TestBatch(tuple(range(i, min(i + batch_size, count))), (size, size))
        for i in range(0, count, batch_size)
    ]


def share(batches: Sequence[TestBatch], worker: int, workers: int) -> list[TestBatch]:
    """Every `workers`-th batch from `worker` on, and empty ones, so that all make as many steps."""
    own = list(batches[worker::workers])
    longest = -(-len(batches) // workers)
    return own + [TestBatch((), batches[-1].shape)] * (longest - len(own))


def fit(image: np.ndarray, shape: tuple[int, int], margin: float) -> np.ndarray:
    """The middle `shape` of an image whose short side is scaled to `margin` times the crop's.

    An image much wider or narrower than its batch is enlarged further, so that it fills the crop.
    """
    height, width = image.shape[:2]
    scale = int(margin * min(shape)) / min(height, width)
    scale = max(scale, shape[0] / height, shape[1] / width)
    size = max(shape[1], round(width * scale)), max(shape[0], round(height * scale))
    if size != (width, height):
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    top, left = (image.shape[0] - shape[0]) // 2, (image.shape[1] - shape[1]) // 2
    return image[top : top + shape[0], left : left + shape[1]]
