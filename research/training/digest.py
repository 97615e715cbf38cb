"""A number for every array, to tell whether what is read is what was written."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

_WORDS: dict[int, Any] = {1: jnp.uint8, 2: jnp.uint16}


def digest(arrays: dict[str, jax.Array]) -> dict[str, int]:
    """Sum over each array's 32-bit words (16 or 8 where its type is smaller), scrambled, mod 2^32.

    A changed word changes it, and how the array is laid out over devices does not.
    """
    return {name: int(number) for name, number in jax.device_get(_sums(arrays)).items()}


@jax.jit
def _sums(arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: _sum(array) for name, array in arrays.items()}


def _sum(array: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(array):
        array = jnp.stack([array.real, array.imag])
    if array.dtype == jnp.bool_:
        array = array.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(array, _WORDS.get(array.dtype.itemsize, jnp.uint32))
    words = words.astype(jnp.uint32)
    # One-to-one, so that a changed word counts; scrambled, so that two changes do not cancel.
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return jnp.sum(words ^ (words >> 16), dtype=jnp.uint32)
