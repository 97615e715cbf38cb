"""Target networks that follow the learned ones slowly (Lillicrap et al., 2015, arXiv:1509.02971,
section 3)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from research.core import LearnerState

Variables = dict[str, Any]


def variables_of(state: LearnerState) -> Variables:
    """What a network computes with: parameters, and batch statistics where it has them."""
    return {"params": state.params, **state.variables}


def init_target(state: LearnerState) -> Variables:
    """The first target network, a copy: the state is donated, and no two arrays may share it."""
    return jax.tree.map(jnp.copy, variables_of(state))


def soft_update(target: Variables, state: LearnerState, tau: float) -> Variables:
    """theta' <- tau theta + (1 - tau) theta' (algorithm 1). With tau = 1 the target is a copy."""
    return optax.incremental_update(variables_of(state), target, tau)
