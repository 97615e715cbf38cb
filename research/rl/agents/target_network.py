"""Target networks that follow the learned ones slowly (Lillicrap et al., 2015, arXiv:1509.02971,
section 3)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from research.core import LearnerState

Variables = dict[str, Any]


def variables(state: LearnerState) -> Variables:
    """What a network computes with: parameters, and batch statistics where it has them."""
    return {"params": state.params, **state.variables}


def start(state: LearnerState) -> Variables:
    """The first target: a copy."""
    return jax.tree.map(jnp.copy, variables(state))


def follow(target: Variables, state: LearnerState, tau: float) -> Variables:
    """tau * learned + (1 - tau) * target. With tau = 1 there is no target network."""
    return optax.incremental_update(variables(state), target, tau)
