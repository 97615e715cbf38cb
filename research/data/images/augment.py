"""Augmentation of images on the host.

Functions of one image `[H, W, C]` and a NumPy generator, for `pipeline.stream(transform=...)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from research.core.errors import UserError


def mirror(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image or, half of the time, its mirror."""
    return image[:, ::-1] if rng.random() < 0.5 else image


def pad_and_crop(image: np.ndarray, rng: np.random.Generator, padding: int = 4) -> np.ndarray:
    """A random crop of the image's own size out of the image with a border of zeros.

    With `padding` 4 and `mirror` after it, the augmentation of CIFAR (Lee et al., 2014). Zero is
    the mean only where the mean has been subtracted before: do that first.
    """
    height, width = image.shape[:2]
    y, x = rng.integers(0, 2 * padding + 1, 2)
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    return padded[y : y + height, x : x + width]


def resize_short_side(image: np.ndarray, short_side: int) -> np.ndarray:
    """Bilinear (anti-aliased), the aspect kept. uint8 `[H, W, 3]` to uint8 `[H', W', 3]`."""
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    size = max(short_side, round(width * scale)), max(short_side, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def scale_and_crop(
    image: np.ndarray,
    rng: np.random.Generator,
    size: int = 224,
    smallest: int = 256,
    largest: int = 480,
) -> np.ndarray:
    """Scale jitter (Simonyan and Zisserman, 2014) and a random crop.

    The shorter side is resized to a number drawn uniformly from [smallest, largest], and a square
    of `size` cut anywhere. uint8 `[H, W, 3]` to uint8 `[size, size, 3]`.
    """
    return crop(resize_short_side(image, int(rng.integers(smallest, largest + 1))), rng, size)


def resized_crop(
    image: np.ndarray, rng: np.random.Generator, size: int, min_area: float = 0.08
) -> np.ndarray:
    """A part of the image, scaled to a square (Szegedy et al., 2014, section 6). uint8 to uint8.

    Its area is uniform between `min_area` and all of the image's, the logarithm of its aspect
    uniform between those of 3/4 and 4/3, its place anywhere. If ten draws do not fit into the
    image: the middle square.
    """
    height, width = image.shape[:2]
    for _ in range(10):
        area = rng.uniform(min_area, 1) * height * width
        root = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)) / 2)
        w, h = round(math.sqrt(area) * root), round(math.sqrt(area) / root)
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
            break
    else:
        w = h = min(height, width)
        left, top = (width - w) // 2, (height - h) // 2
    part = Image.fromarray(np.ascontiguousarray(image[top : top + h, left : left + w]))
    return np.asarray(part.resize((size, size), Image.Resampling.BILINEAR))


def crop(image: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """A square `[size, size, C]` from anywhere in the image."""
    y = rng.integers(0, image.shape[0] - size + 1)
    x = rng.integers(0, image.shape[1] - size + 1)
    return image[y : y + size, x : x + size]


def centre_crop(image: np.ndarray, size: int) -> np.ndarray:
    """The middle `[size, size, C]`."""
    y, x = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[y : y + size, x : x + size]


def square(image: np.ndarray, size: int) -> np.ndarray:
    """The image as a square, whatever it was: uint8 `[H, W, C]` to uint8 `[size, size, C]`.

    A smaller image is padded with black on all sides (MNIST's 28 to 32 pixels); a larger one is
    scaled, shorter side to `size`, and cropped in the centre.
    """
    height, width, channels = image.shape
    if min(height, width) > size:
        scale = size / min(height, width)
        shape = round(width * scale), round(height * scale)
        flat = image[..., 0] if channels == 1 else image
        scaled = Image.fromarray(flat).resize(shape, Image.Resampling.BILINEAR)
        image = np.asarray(scaled).reshape(shape[1], shape[0], channels)
    before = [max(0, size - side) // 2 for side in image.shape[:2]]
    after = [max(0, size - side) - b for side, b in zip(image.shape[:2], before, strict=True)]
    image = np.pad(image, (*zip(before, after, strict=True), (0, 0)))
    top, left = ((side - size) // 2 for side in image.shape[:2])
    return image[top : top + size, left : left + size]


def ten_crops(image: np.ndarray, size: int) -> np.ndarray:
    """Four corners and the middle, and the mirror of each: `[H, W, C] -> [10, size, size, C]`."""
    bottom, right = image.shape[0] - size, image.shape[1] - size
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    crops = np.stack([image[y : y + size, x : x + size] for y, x in corners])
    return np.concatenate([crops, crops[:, :, ::-1]])


class ColourAxes(NamedTuple):
    """Principal components of RGB values.

    deviations: `[3]`, square roots of the covariance's eigenvalues, in the units of the pixels.
    axes: `[3, 3]`, the eigenvectors, in columns.
    """

    deviations: np.ndarray
    axes: np.ndarray


def colour_axes(images: Iterable[np.ndarray]) -> ColourAxes:
    """Principal components of all pixels of `images`, each `[H, W, 3]`, one pass."""
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for image in images:
        pixels = image.reshape(-1, 3).astype(np.float64)
        count, total = count + len(pixels), total + pixels.sum(0)
        products += pixels.T @ pixels
    mean = total / count
    values, axes = np.linalg.eigh(products / count - np.outer(mean, mean))
    return ColourAxes(np.sqrt(np.maximum(values, 0)), axes)


def jitter_colour(
    image: np.ndarray, rng: np.random.Generator, colours: ColourAxes, strength: float = 0.1
) -> np.ndarray:
    """AlexNet's colour augmentation (Krizhevsky et al., 2012, section 4.1). Returns float32.

    To all pixels of an image one RGB vector is added: along each principal component a normal
    number of deviation `strength` times that component's. Departure: the text says «times the
    eigenvalue» of the covariance; for pixels of 0 to 255 that is a shift of hundreds, so its root
    is taken here.
    """
    shift = colours.axes @ (rng.normal(0, strength, 3) * colours.deviations)
    return image.astype(np.float32) + shift.astype(np.float32)


def per_pixel_mean(images: Iterable[np.ndarray]) -> np.ndarray:
    """Mean image of a training set of one size, float32 `[H, W, C]`."""
    count, total = 0, np.zeros(())
    for image in images:
        count, total = count + 1, total + image.astype(np.float64)
    return (total / count).astype(np.float32)


def average_pool(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean of factor x factor pixels, rounded: uint8 `[H, W, C] -> [H / factor, W / factor, C]`.

    Raises:
      UserError: the factor does not divide the image's sides.
    """
    height, width, channels = image.shape
    if height % factor or width % factor:
        raise UserError(
            f"images of {width} x {height} pixels do not divide by data.reduce={factor}"
        )
    blocks = image.reshape(height // factor, factor, width // factor, factor, channels)
    return np.round(blocks.mean((1, 3))).astype(np.uint8)


def luminance(image: np.ndarray) -> np.ndarray:
    """Grey of a coloured image: uint8 `[H, W, 3]` to `[H, W, 1]`, by the weights of ITU-R 601."""
    grey = image @ np.array([0.299, 0.587, 0.114])
    return np.round(grey).astype(np.uint8)[..., None]
