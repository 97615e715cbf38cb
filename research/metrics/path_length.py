"""Perceptual path length: how evenly images change along a generator's latents.

Source: Karras, Laine, Aila 2018, arXiv:1812.04948, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from research.metrics import latents

EPSILON = 1e-4
_LARGEST = 256  # side that images are averaged down to

Draw = Callable[[jax.Array, jax.Array], np.ndarray]
Space = Literal["z", "w"]
Sampling = Literal["full", "end"]


def perceptual_path_length(
    draw: Draw,
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ends: tuple[jax.Array, jax.Array],
    key: jax.Array,
    *,
    space: Space,
    sampling: Sampling = "full",
    faces: bool = False,
    epsilon: float = EPSILON,
    batch_size: int = 100,
) -> float:
    """Mean of d(g(t), g(t + eps)) / eps^2 over paths from latent to latent, without outliers.

    Published numbers are of 100,000 paths, d = LPIPS by VGG16, and no truncation of the latents.

    Args:
      draw: latents `[N, Z]` and a key for a generator's noise inputs to images `[N, H, W, C]` in
        [-1, 1]. Both ends of a step have the same noise.
      distance: d, images to images `[N]`, such as `PerceptualDistance`.
      ends: latents `[N, Z]` that paths begin and end at.
      key: of t, and of noise inputs.
      space: what latents are. Of "z", which are normal, paths are arcs; of "w" they are straight.
      sampling: "full": t is uniform on the whole path; "end": t = 0.
      faces: images are of faces, which are cropped first (`face_crop`).
      epsilon: length of a step.
      batch_size: paths at a time.
    """
    between = {"z": latents.slerp, "w": latents.lerp}[space]
    t_key, noise_key = jax.random.split(key)
    start, end = ends
    lengths = []
    for i in range(0, len(start), batch_size):
        a, b = start[i : i + batch_size], end[i : i + batch_size]
        shape = (len(a), 1)
        t = jax.random.uniform(jax.random.fold_in(t_key, i), shape)
        t = t if sampling == "full" else jnp.zeros(shape)
        noise = jax.random.fold_in(noise_key, i)
        pair = [np.asarray(draw(between(a, b, at), noise)) for at in (t, t + epsilon)]
        if faces:
            pair = [face_crop(images) for images in pair]
        lengths.append(distance(*(averaged_down(images) for images in pair)) / epsilon**2)
    return trimmed_mean(np.concatenate(lengths))


def trimmed_mean(values: np.ndarray, low: float = 1, high: float = 99) -> float:
    """Mean of values `[N]` from one percentile to another, both included."""
    values = np.asarray(values, np.float64)
    least = np.percentile(values, low, method="lower")
    most = np.percentile(values, high, method="higher")
    return float(values[(values >= least) & (values <= most)].mean())


def face_crop(images: np.ndarray) -> np.ndarray:
    """Rows 3/8 to 7/8 and columns 2/8 to 6/8 of images `[N, H, W, C]`: a face without its hair."""
    eighth = images.shape[1] // 8
    return images[:, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]


def averaged_down(images: np.ndarray, largest: int = _LARGEST) -> np.ndarray:
    """Images `[N, H, W, C]` with a side of `largest` at most, by the mean of whole blocks."""
    factor = images.shape[1] // largest
    if factor < 2:
        return images
    num, height, width, channels = images.shape
    blocks = (num, height // factor, factor, width // factor, factor, channels)
    return images.reshape(blocks).mean((2, 4))
