"""Attention with an additive score (Bahdanau, Cho, Bengio, 2014, arXiv:1409.0473, A.1.2)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.attention import MASKED


class AdditiveScore(nn.Module):
    """v' tanh(W q + U c) for each of H heads.

    Attributes:
      heads: H.
      size: of each head's vectors.
    """

    heads: int
    size: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, query: jax.Array, context: jax.Array) -> jax.Array:
        """Scores `[..., H]` float32 of `query [..., F]` and `context [..., G]`, whose leading axes
        broadcast."""

        def project(x: jax.Array, name: str) -> jax.Array:
            bias = name == "query"  # the sum of two biases would be one
            x = nn.Dense(self.heads * self.size, use_bias=bias, dtype=self.dtype, name=name)(x)
            return x.reshape(*x.shape[:-1], self.heads, self.size)

        v = self.param("v", nn.initializers.lecun_normal(), (self.size, self.heads))
        return additive_scores(project(query, "query"), project(context, "context"), v)


def additive_scores(query: jax.Array, context: jax.Array, v: jax.Array) -> jax.Array:
    """v' tanh(query + context): `[..., H]` float32 of two `[..., H, A]` and v `[A, H]`."""
    mixed = jnp.tanh(query + context)
    return jnp.einsum("...ha,ah->...h", mixed, v.astype(mixed.dtype)).astype(jnp.float32)


def masked_softmax(scores: jax.Array, mask: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    """Weights that sum to 1 over `axis`, and are 0 where the mask, which broadcasts, is False."""
    return jax.nn.softmax(jnp.where(mask, scores, MASKED), axis=axis)
