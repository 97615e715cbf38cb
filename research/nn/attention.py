"""Multi-head dot-product attention (Vaswani et al. 2017, section 3.2), masks and key-value caches.

A mask is True where a query may look at a key and broadcasts to `[B, H, T, S]`.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

# Added in float32: far below any score, yet finite, so a row that may look nowhere is not NaN.
MASKED = -1e9


class KeysValues(NamedTuple):
    """Keys and values `[B, S, H, D]`: of a sequence, or a fixed-size cache filled step by step."""

    keys: jax.Array
    values: jax.Array


def causal_mask(length: int) -> jax.Array:
    """`[1, 1, T, T]`: position t sees 0 ... t."""
    return jnp.tril(jnp.ones((1, 1, length, length), bool))


def padding_mask(valid: jax.Array) -> jax.Array:
    """`[B, 1, 1, S]` from `valid [B, S]`: no query sees a padded key."""
    return valid[:, None, None, :]


def cache_mask(length: int, index: jax.Array) -> jax.Array:
    """`[1, 1, 1, S]`: which entries of a cache of S = `length` are filled once `index` is."""
    return (jnp.arange(length) <= index)[None, None, None, :]


def attention_weights(query: jax.Array, keys: jax.Array, mask: jax.Array) -> jax.Array:
    """softmax(Q K' / sqrt(d_k)) `[B, H, T, S]` in float32; queries and keys are `[B, T, H, D]`."""
    scores = jnp.einsum("bthd,bshd->bhts", query, keys, preferred_element_type=jnp.float32)
    return jax.nn.softmax(scores * query.shape[-1] ** -0.5 + jnp.where(mask, 0.0, MASKED))


def empty_cache(
    rows: int, length: int, num_heads: int, head_dim: int, dtype: jnp.dtype
) -> KeysValues:
    """A cache of fixed size `[rows, length, heads, head_dim]`, so that each step is one program."""
    zeros = jnp.zeros((rows, length, num_heads, head_dim), dtype)
    return KeysValues(zeros, zeros)


def extend_cache(cache: KeysValues, new: KeysValues, index: jax.Array) -> KeysValues:
    """Writes `new [B, 1, H, D]` at time `index` of the cache."""

    def write(buffer: jax.Array, entry: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice_in_dim(buffer, entry.astype(buffer.dtype), index, 1)

    return KeysValues(*map(write, cache, new))


class MultiHeadAttention(nn.Module):
    """H heads of size d_k, concatenated and projected back to the width of the queries.

    Keys and values come from `keys_values`, apart from the call, so that those of an encoded source
    are computed once however many steps attend to them.

    Attributes:
      num_heads: H.
      head_dim: d_k = d_v.
      use_bias: biases in the four projections; the paper's counts have none.
      dtype: compute dtype; the softmax is in float32 always.
    """

    num_heads: int
    head_dim: int
    features: int
    use_bias: bool = False
    dtype: jnp.dtype | None = None

    def setup(self) -> None:
        def project(features: int) -> nn.Dense:
            return nn.Dense(
                features,
                use_bias=self.use_bias,
                dtype=self.dtype,
                kernel_init=nn.initializers.glorot_uniform(),
            )

        inner = self.num_heads * self.head_dim
        self.query, self.key, self.value = project(inner), project(inner), project(inner)
        self.out = project(self.features)

    def split_heads(self, x: jax.Array) -> jax.Array:
        """`[B, T, H * D]` to `[B, T, H, D]`."""
        return x.reshape(*x.shape[:-1], self.num_heads, self.head_dim)

    def keys_values(self, x: jax.Array) -> KeysValues:
        """Keys and values of `x [B, S, features]`."""
        return KeysValues(self.split_heads(self.key(x)), self.split_heads(self.value(x)))

    def __call__(
        self, x: jax.Array, memory: KeysValues, mask: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Attends from `x [B, T, features]`; returns the like, and weights `[B, H, T, S]`.

        The output comes from `jax.nn.dot_product_attention`, which never hands out its weights.
        They are worked out beside it, and cost nothing in a compiled program that does not use
        them.
        """
        query = self.split_heads(self.query(x))
        mixed = jax.nn.dot_product_attention(query, *memory, mask=mask)
        output = self.out(mixed.reshape(*x.shape[:-1], -1))
        return output, attention_weights(query, memory.keys, mask)
