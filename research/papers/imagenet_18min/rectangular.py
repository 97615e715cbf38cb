"""Rectangular validation: test images of similar shape together, little of them cut away.

Images are sorted by aspect and cut into batches; all images of a batch are cropped to the batch's
mean aspect, so that a batch has one shape and a network with global pooling sees nearly all of each
image (Howard et al., 2018, the released code of «ImageNet in 18 minutes»).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

MULTIPLE = 8  # of pixels; tensor cores


def crop_shape(aspect: float, size: int) -> tuple[int, int]:
    """(height, width) of a crop of about `aspect` (width / height): the short side is `size`, the
    long one the multiple of 8 at or below."""
    # A hair more, or 28 * (40 / 28) would be below 40.
    long = int(size * max(aspect, 1 / aspect) * (1 + 1e-6)) // MULTIPLE * MULTIPLE
    long = max(long, size)
    return (size, long) if aspect >= 1 else (long, size)


def square_crops(count: int, size: int) -> dict[tuple[int, int], list[int]]:
    """All images, by number, as squares: in the form of `rectangular_crops`."""
    return {(size, size): list(range(count))}


def rectangular_crops(
    shapes: Sequence[tuple[int, int]] | np.ndarray, batch_size: int, size: int
) -> dict[tuple[int, int], list[int]]:
    """Numbers of the images that are tested at each shape of crop.

    Args:
      shapes: (height, width) of every image.
      batch_size: how many images of similar aspect have the same shape, that of their mean aspect.
      size: short side of a crop.

    Returns:
      (height, width) of a crop -> images, in the order of their aspect.
    """
    aspects = np.array([width / height for height, width in shapes])
    order = np.argsort(aspects, kind="stable")
    crops: dict[tuple[int, int], list[int]] = {}
    for start in range(0, len(order), batch_size):
        chunk = order[start : start + batch_size]
        shape = crop_shape(float(aspects[chunk].mean()), size)
        crops.setdefault(shape, []).extend(map(int, chunk))
    return crops


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
