"""The loss of classifiers, with the error that is reported beside it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax


def softmax_loss(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy of the softmax, and the error.

    Args:
      logits: `[B, K]`.
      labels: `[B]`, integers.

    Returns:
      The loss in nats; the error in percent, see `top1_error`.
    """
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return loss, top1_error(logits, labels)


def top1_error(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Percentage of rows whose first highest logit is not the label's; `[B, K]`, `[B]`."""
    return 100 * jnp.mean(logits.argmax(-1) != labels)
