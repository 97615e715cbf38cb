"""Ways to spoil images more and more, which a metric of samples has to notice.

Source: Heusel et al. 2017, arXiv:1706.08500, appendix A1. All take images `[N, H, W, C]` in
[-1, 1], a strength, of which 0 changes nothing, and a generator; and give images of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

Disturbance = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def noise(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """(1 - a) X + a N, with N normal of deviation 1."""
    normal = rng.standard_normal(images.shape, np.float32)
    return np.clip((1 - strength) * images + strength * normal, -1, 1)


def blur(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian kernel of deviation a, in pixels."""
    del rng
    return gaussian_filter(images, (0, strength, strength, 0), mode="nearest")


def salt_and_pepper(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A share a of the pixels is black or white, each as likely."""
    place = rng.uniform(size=(*images.shape[:3], 1))
    extreme = np.where(place < strength / 2, -1, 1).astype(images.dtype)
    return np.where(place < strength, extreme, images)


def patch(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A black square anywhere, of a times the image's side (the paper has five rectangles)."""
    height, width = images.shape[1:3]
    side = round(strength * height)
    top = rng.integers(0, height - side + 1, (len(images), 1))
    left = rng.integers(0, width - side + 1, (len(images), 1))
    rows, columns = np.arange(height)[None], np.arange(width)[None]
    inside_rows = (rows >= top) & (rows < top + side)
    inside_columns = (columns >= left) & (columns < left + side)
    erased = inside_rows[:, :, None] & inside_columns[:, None, :]
    return np.where(erased[..., None], np.float32(-1), images)


DISTURBANCES: dict[str, Disturbance] = {
    "noise": noise,
    "blur": blur,
    "salt_and_pepper": salt_and_pepper,
    "patch": patch,
}
