"""Causal self-attention, dense or locally banded (Child et al. 2019, arXiv:1904.10509).

A banded layer looks at the last `window` positions, itself included. GPT-3 alternates such layers
with dense ones (Brown et al. 2020, section 2.1).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def band_mask(length: int, window: int) -> jax.Array:
    """`[1, 1, T, T]`: position t sees t - window + 1 ... t; a window of 0 sees all before it."""
    query, key = jnp.arange(length)[:, None], jnp.arange(length)[None, :]
    seen = key <= query
    if window:
        seen &= key > query - window
    return seen[None, None]


def causal_attention(
    query: jax.Array, keys: jax.Array, values: jax.Array, window: int = 0
) -> jax.Array:
    """Mixed values `[B, T, H, D]` of `query`, `keys`, `values`, each `[B, T, H, D]`.

    In half precision on a GPU this is cuDNN's fused kernel. Elsewhere a banded layer costs
    O(T * window): blocks of `window` queries meet their own block of keys and the one before.

    Args:
      query, keys, values: of one sequence, T positions.
      window: how many positions each query sees; 0 for all.
    """
    if jax.default_backend() == "gpu" and query.dtype in (jnp.bfloat16, jnp.float16):
        return jax.nn.dot_product_attention(
            query,
            keys,
            values,
            is_causal=True,
            local_window_size=(window - 1, 0) if window else None,
            implementation="cudnn",
        )
    if 0 < window < query.shape[1]:
        return _blocked(query, keys, values, window)
    return jax.nn.dot_product_attention(query, keys, values, is_causal=True)


def _blocked(query: jax.Array, keys: jax.Array, values: jax.Array, window: int) -> jax.Array:
    rows, length, *rest = query.shape
    count = -(-length // window)

    def blocks(x: jax.Array) -> jax.Array:
        # Keys that fill the last block up come after every real query, which thus never sees them.
        x = jnp.pad(x, ((0, 0), (0, count * window - length), (0, 0), (0, 0)))
        return x.reshape(rows, count, window, *rest)

    def with_previous(x: jax.Array) -> jax.Array:
        x = blocks(x)
        previous = jnp.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
        return jnp.concatenate([previous, x], axis=2)

    # Query i of a block is at window + i among the keys of both blocks.
    i, j = jnp.arange(window)[:, None], jnp.arange(2 * window)[None, :]
    band = (j <= i + window) & (j > i)
    first = jnp.arange(count)[:, None, None] == 0
    mask = (band & ~(first & (j < window)))[:, None, None]  # [blocks, 1, 1, window, 2 window]
    mixed = jax.vmap(
        lambda q, k, v, m: jax.nn.dot_product_attention(q, k, v, mask=m), (1, 1, 1, 0), 1
    )(blocks(query), with_previous(keys), with_previous(values), mask)
    return mixed.reshape(rows, count * window, *rest)[:, :length]
