"""The KL-penalised form of PPO: what its coefficient does, and what lies beyond the target.

Schulman et al. 2017 (arXiv:1707.06347, section 4) change the coefficient by factors of 2; Heess et
al. 2017 (arXiv:1707.02286, section 2.2) by 1.5, and add a term that grows where the divergence
has passed its limit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

_BAND = 1.5  # the coefficient stays where the divergence is within this factor of its target


def adapted(penalty: jax.Array, kl: jax.Array, target: float, factor: float) -> jax.Array:
    """The coefficient for the next rollout, from the divergence `[]` of this one's updates."""
    low, high = target / _BAND, target * _BAND
    return penalty * jnp.where(kl > high, factor, jnp.where(kl < low, 1 / factor, 1.0))


def beyond_limit(kl: jax.Array, target: float) -> jax.Array:
    """max(0, KL - 2 target)^2, to be weighted heavily."""
    return jnp.maximum(0.0, kl - 2 * target) ** 2
