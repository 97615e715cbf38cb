"""Cross-entropy against smoothed labels (Szegedy et al. 2016; Vaswani et al. 2017, section 5.4)."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def smoothed_cross_entropy(logits: jax.Array, labels: jax.Array, epsilon: float = 0.0) -> jax.Array:
    """Cross-entropy in nats against (1 - epsilon) one-hot + epsilon / V over ALL V classes.

    tensor2tensor instead spreads epsilon over the V - 1 wrong classes and subtracts the entropy of
    the smoothed labels; its values are not comparable with these.

    Args:
      logits: `[..., V]`.
      labels: `[...]` integers.
      epsilon: smoothing; 0 gives plain cross-entropy.

    Returns:
      `[...]` in float32.
    """
    log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
    picked = jnp.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]
    if epsilon == 0.0:
        return -picked
    return -(1.0 - epsilon) * picked - epsilon * jnp.mean(log_probs, axis=-1)


def masked_mean(values: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the mean of `values` where `mask`, and how many those are.

    The mean is per token, not per sentence. Pass the count as `Aux.weight`, so that accumulated
    micro-batches are averaged over all their tokens together.
    """
    weight = mask.astype(jnp.float32)
    count = jnp.sum(weight)
    return jnp.sum(values * weight) / jnp.maximum(count, 1.0), count
