"""The KL-penalized form of PPO: its coefficient's update, and a hinge beyond the target.

Schulman et al. 2017 (arXiv:1707.06347, section 4) change the coefficient by factors of 2; Heess et
al. 2017 (arXiv:1707.02286, section 2.2) by 1.5, and add a term that grows where the divergence
has passed its limit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

_BAND = 1.5  # the coefficient stays where the divergence is within this factor of its target


def update_kl_coefficient(
    coefficient: jax.Array, kl: jax.Array, kl_target: float, factor: float
) -> jax.Array:
    """The coefficient for the next rollout.

    Args:
      coefficient: `[]`, of this rollout.
      kl: `[]`, mean divergence that this rollout's updates made, in nats.
      kl_target: of that divergence.
      factor: by which the coefficient grows or shrinks.
    """
    low, high = kl_target / _BAND, kl_target * _BAND
    return coefficient * jnp.where(kl > high, factor, jnp.where(kl < low, 1 / factor, 1.0))


def kl_hinge(kl: jax.Array, kl_target: float) -> jax.Array:
    """max(0, KL - 2 KL_target)^2, to be weighted heavily (Heess et al. 2017, section 2.2)."""
    return jnp.maximum(0.0, kl - 2 * kl_target) ** 2
