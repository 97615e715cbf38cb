"""Losses of a classifier whose outputs may be split over the workers of a mesh axis.

Inside `shard_map`, every worker calls them with its own columns of the logits and the labels of all
rows, and gets the loss over all classes. Only a number or three of each row are exchanged: this is
why Krizhevsky (2014, arXiv:1404.5997) replaces the softmax, which needs a normalizer over all
classes, by logistic units, which do not.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


def softmax_loss(logits: jax.Array, labels: jax.Array, axis: str = "") -> jax.Array:
    """Cross-entropy of the softmax over all classes.

    Args:
      logits: `[B, C]`, or this worker's `[B, C / workers]`.
      labels: `[B]` integers, counted over all classes.
      axis: mesh axis that the classes are split over; "" for none.

    Returns:
      `[B]`, in nats.
    """
    largest = lax.stop_gradient(logits.max(-1))
    largest = lax.pmax(largest, axis) if axis else largest
    total = _sum(jnp.exp(logits - largest[:, None]).sum(-1), axis)
    return jnp.log(total) + largest - label_logit(logits, labels, axis)


def logistic_loss(logits: jax.Array, labels: jax.Array, axis: str = "") -> jax.Array:
    """Cross-entropies of one logistic unit for each class, summed. As `softmax_loss`."""
    return _sum(jax.nn.softplus(logits).sum(-1), axis) - label_logit(logits, labels, axis)


def label_logit(logits: jax.Array, labels: jax.Array, axis: str = "") -> jax.Array:
    """The logit of each row's label, `[B]`. As `softmax_loss`."""
    first = lax.axis_index(axis) * logits.shape[-1] if axis else 0
    own = labels[:, None] == first + jnp.arange(logits.shape[-1])
    return _sum(jnp.where(own, logits, 0.0).sum(-1), axis)


def top1_error(logits: jax.Array, labels: jax.Array, axis: str = "") -> jax.Array:
    """Percentage of rows in which another class has a higher logit. As `softmax_loss`."""
    largest = lax.stop_gradient(logits.max(-1))
    largest = lax.pmax(largest, axis) if axis else largest
    return 100 * jnp.mean(largest > lax.stop_gradient(label_logit(logits, labels, axis)))


def _sum(x: jax.Array, axis: str) -> jax.Array:
    return lax.psum(x, axis) if axis else x


LOSSES = {"softmax": softmax_loss, "logistic": logistic_loss}
