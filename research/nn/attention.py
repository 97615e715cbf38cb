"""Multi-head dot-product attention (Vaswani et al. 2017, section 3.2), masks and key-value caches.

A mask is True where a query may look at a key and broadcasts to `[B, H, T, S]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer

from research.core.partition import BATCH, constrain

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
      features: D, width of the output.
      use_bias: biases in the projections; Vaswani et al.'s counts have none.
      dtype: compute dtype; the softmax is in float32 always.
      fused: self-attention alone: one projection "qkv" makes queries, keys and values, and kernels
        keep the heads on an axis of their own.
      dropout: of the weights, in training.
      kernel_init, out_init: how projections start, and that of the output; None for the like.
    """

    num_heads: int
    head_dim: int
    features: int
    use_bias: bool = False
    dtype: jnp.dtype | None = None
    fused: bool = False
    dropout: float = 0.0
    kernel_init: Initializer = nn.initializers.glorot_uniform()
    out_init: Initializer | None = None

    def setup(self) -> None:
        common: dict[str, Any] = dict(use_bias=self.use_bias, dtype=self.dtype)
        start, out_start = self.kernel_init, self.out_init or self.kernel_init
        if self.fused:
            heads = 3, self.num_heads, self.head_dim
            self.qkv = nn.DenseGeneral(heads, kernel_init=start, **common)
            self.out = nn.DenseGeneral(self.features, (-2, -1), kernel_init=out_start, **common)
        else:
            inner = self.num_heads * self.head_dim
            self.query = nn.Dense(inner, kernel_init=start, **common)
            self.key = nn.Dense(inner, kernel_init=start, **common)
            self.value = nn.Dense(inner, kernel_init=start, **common)
            self.out = nn.Dense(self.features, kernel_init=out_start, **common)
        self.drop_weights = nn.Dropout(self.dropout)

    def split_heads(self, x: jax.Array) -> jax.Array:
        """`[B, T, H * D]` to `[B, T, H, D]`."""
        return x.reshape(*x.shape[:-1], self.num_heads, self.head_dim)

    def queries(self, x: jax.Array) -> jax.Array:
        """Queries `[B, T, H, D]` of `x [B, T, features]`; not fused."""
        return self.split_heads(self.query(x))

    def keys_values(self, x: jax.Array) -> KeysValues:
        """Keys and values of `x [B, S, features]`; not fused."""
        return KeysValues(self.split_heads(self.key(x)), self.split_heads(self.value(x)))

    def project(self, x: jax.Array) -> tuple[jax.Array, KeysValues]:
        """Queries, keys and values of self-attention, each `[B, T, H, D]`."""
        if not self.fused:
            new = self.keys_values(x)
            return self.queries(x), new
        qkv = constrain(self.qkv(x), BATCH, None, None, "model", None)
        return qkv[:, :, 0], KeysValues(qkv[:, :, 1], qkv[:, :, 2])

    def attend(
        self, query: jax.Array, memory: KeysValues, mask: jax.Array, train: bool = False
    ) -> jax.Array:
        """Mixed values `[B, T, H, D]`; with dropout of weights where there is any in training.

        Without it they come from `jax.nn.dot_product_attention`, which holds no weights.
        """
        if not (train and self.dropout):
            return jax.nn.dot_product_attention(query, *memory, mask=mask)
        weights = attention_weights(query, memory.keys, mask)
        weights = self.drop_weights(weights.astype(query.dtype), deterministic=False)
        return jnp.einsum("bhts,bshd->bthd", weights, memory.values)

    def merge(self, mixed: jax.Array) -> jax.Array:
        """Mixed values `[B, T, H, D]` of all heads to the output `[B, T, features]`."""
        # Heads stay where they are, backwards too, or whole score matrices change places there.
        mixed = constrain(mixed, BATCH, None, "model", None)
        return self.out(mixed if self.fused else mixed.reshape(*mixed.shape[:2], -1))

    def __call__(
        self, x: jax.Array, memory: KeysValues, mask: jax.Array, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Attends from `x [B, T, features]`; returns the like, and weights `[B, H, T, S]`.

        The weights are worked out beside the output, and cost nothing in a compiled program that
        does not use them.
        """
        query = self.queries(x)
        output = self.merge(self.attend(query, memory, mask, train))
        return output, attention_weights(query, memory.keys, mask)
