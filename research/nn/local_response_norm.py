"""Local response normalization (Krizhevsky, Sutskever, Hinton, 2012, section 3.3)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


def local_response_norm(
    x: jax.Array,
    size: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    divide_alpha: bool = False,
    groups: int = 1,
) -> jax.Array:
    """Divides every channel by a power of the energy of its neighbours.

    b_i = a_i / (k + alpha * sum of a_j^2, |j - i| <= size / 2)^beta, as printed. What follows is
    the ambiguity: the author's later code, Caffe and PyTorch divide `alpha` by `size` before use
    (and Caffe and PyTorch have k = 1), which the paper does not say.

    Args:
      x: `[..., C]`.
      size: channels in a neighbourhood, cut off at the first and last channel.
      divide_alpha: the second reading.
      groups: towers; a channel's neighbours are those of its own.

    Returns:
      `[..., C]`.
    """
    before = size // 2
    towers = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    pads = [(0, 0, 0)] * x.ndim + [(before, size - 1 - before, 0)]
    squares = lax.pad(jnp.square(towers), jnp.zeros((), x.dtype), pads)
    windows = [squares[..., i : i + towers.shape[-1]] for i in range(size)]
    energy = sum(windows, jnp.zeros((), x.dtype)).reshape(x.shape)
    return x * (k + (alpha / size if divide_alpha else alpha) * energy) ** -beta
