"""Contrast of images, one by one."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_MIN_LENGTH = 1e-8  # an image of one grey is not divided


def global_contrast_normalize(images: jax.Array, scale: float) -> jax.Array:
    """Images less their own mean, scaled to one length (pylearn2's function of this name).

    With `scale` 55, images of 32x32x3 have a standard deviation of 0.99.

    Args:
      images: `[B, ...]`; the mean is over all pixels and channels of an image.
      scale: Euclidean length of every image of the result.
    """
    axes = tuple(range(1, images.ndim))
    centred = images - images.mean(axes, keepdims=True)
    length = jnp.sqrt(jnp.square(centred).sum(axes, keepdims=True)) / scale
    return centred / jnp.where(length < _MIN_LENGTH, 1.0, length)
