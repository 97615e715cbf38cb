"""Cross-entropy over a large vocabulary without holding its logits."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from research.core.partition import BATCH, constrain

# Matrix units want dimensions of such multiples; the columns beyond the vocabulary are masked.
_ALIGNMENT = 64
_NEVER = -1e30


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def tied_cross_entropy(
    hidden: jax.Array, table: jax.Array, targets: jax.Array, weights: jax.Array, chunks: int
) -> jax.Array:
    """Mean cross-entropy in nats of `targets` under softmax(hidden table'), weighted.

    Logits are made for one chunk of positions at a time, and so are, when differentiated, the
    gradients, in the same pass: nothing of size T * V is kept and no product is made twice. Logits
    and sums are float32; products take the precision of `hidden`.

    Args:
      hidden: `[B, T, D]`.
      table: `[V, D]` in float32, the embedding that is also the output layer.
      targets: `[B, T]` tokens.
      weights: `[B, T]`, 0 where nothing is to be predicted; not differentiated.
      chunks: pieces that T is cut into; must divide it.
    """
    return _forward(hidden, table, targets, weights, chunks, False)[0]


def _forward(
    hidden: jax.Array,
    table: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    chunks: int,
    differentiate: bool,
) -> tuple[jax.Array, tuple[Any, Any]]:
    vocabulary = table.shape[0]
    padding = -vocabulary % _ALIGNMENT
    weights = weights.astype(jnp.float32)
    scaled = weights / jnp.maximum(jnp.sum(weights), 1e-9)
    padded = jnp.pad(table.astype(hidden.dtype), ((0, padding), (0, 0)))
    # From width to vocabulary in two moves, each of which is one cheap collective.
    padded = constrain(constrain(padded, None, "model"), "model", None)
    column = jnp.arange(vocabulary + padding)

    def split(x: jax.Array) -> jax.Array:
        # Chunk i takes positions i, i + chunks, ...: where T is split over devices each keeps its.
        x = x.reshape(x.shape[0], x.shape[1] // chunks, chunks, *x.shape[2:])
        return jnp.moveaxis(x, 2, 0)

    def body(carry: tuple, chunk: tuple) -> tuple[tuple, Any]:
        total, table_grad = carry
        x, target, weight = chunk
        x = constrain(x, BATCH, None, None)
        logits = jnp.einsum("btd,vd->btv", x, padded, preferred_element_type=jnp.float32)
        logits = constrain(logits, BATCH, None, "model")
        logits = jnp.where(column < vocabulary, logits, _NEVER)
        hit = column == target[..., None]
        normaliser = jax.nn.logsumexp(logits, axis=-1)
        picked = jnp.sum(jnp.where(hit, logits, 0.0), axis=-1)
        total += jnp.sum((normaliser - picked) * weight)
        if not differentiate:
            return (total, table_grad), None
        slope = (jnp.exp(logits - normaliser[..., None]) - hit) * weight[..., None]
        slope = slope.astype(x.dtype)
        table_grad += jnp.einsum("btv,btd->vd", slope, x, preferred_element_type=jnp.float32)
        return (total, table_grad), jnp.einsum("btv,vd->btd", slope, padded)

    table_grad = jnp.zeros(padded.shape if differentiate else ())
    chunked = tuple(map(split, (hidden, targets, scaled)))
    (total, table_grad), hidden_grad = jax.lax.scan(body, (jnp.zeros(()), table_grad), chunked)
    if not differentiate:
        return total, (None, None)
    hidden_grad = jnp.moveaxis(hidden_grad, 0, 2).reshape(hidden.shape)
    return total, (hidden_grad, table_grad[:vocabulary].astype(table.dtype))


def _fwd(
    hidden: jax.Array, table: jax.Array, targets: jax.Array, weights: jax.Array, chunks: int
) -> tuple[jax.Array, Any]:
    return _forward(hidden, table, targets, weights, chunks, True)


def _bwd(chunks: int, gradients: Any, cotangent: jax.Array) -> tuple:
    hidden_grad, table_grad = gradients
    return hidden_grad * cotangent.astype(hidden_grad.dtype), table_grad * cotangent, None, None


tied_cross_entropy.defvjp(_fwd, _bwd)
