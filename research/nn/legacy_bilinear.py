"""Bilinear resizing as TensorFlow 1 has it, which published sample metrics are made with."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def resize(images: jax.Array, height: int, width: int) -> jax.Array:
    """Images `[B, H, W, C]` as `[B, height, width, C]`, by `tf.image.resize_bilinear` of TF 1.

    Output pixel i lies at i * H / height of the input: corners of pixels are matched at the upper
    left, not their centres, and shrinking leaves pixels out (no antialiasing).
    """
    return _along(_along(images, 1, height), 2, width)


def _along(x: jax.Array, axis: int, size: int) -> jax.Array:
    last = x.shape[axis] - 1
    place = jnp.arange(size, dtype=jnp.float32) * (x.shape[axis] / size)
    lower = jnp.minimum(jnp.floor(place).astype(jnp.int32), last)
    share = jnp.expand_dims(place - lower, [a for a in range(x.ndim) if a != axis])
    a = jnp.take(x, lower, axis)
    b = jnp.take(x, jnp.minimum(lower + 1, last), axis)
    return a + (b - a) * share
