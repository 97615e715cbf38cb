"""A largest length of the weights into each unit, in place of weight decay.

Source: Hinton et al. 2012, arXiv:1207.0580, appendix A.1; Srebro and Shraibman 2005.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from research.core.tree import path_name


def projected(params: Any, max_squared_norm: float) -> Any:
    """Kernels `[..., units]` with the weights into each unit scaled down to a squared length."""

    def project(path: Any, w: jax.Array) -> jax.Array:
        if not path_name(path).endswith("kernel"):
            return w
        squared = jnp.square(w).sum(tuple(range(w.ndim - 1)))
        return w * jnp.sqrt(max_squared_norm / jnp.maximum(squared, max_squared_norm))

    return jax.tree_util.tree_map_with_path(project, params)


def limit_norms(max_squared_norm: float) -> optax.GradientTransformation:
    """Makes updates end at `projected` weights; the last part of a chain.

    Args:
      max_squared_norm: of all weights into one unit; 0 for no limit.

    Raises:
      ValueError: `update` is not given the parameters.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("limit_norms needs params")
        new = projected(jax.tree.map(jnp.add, params, updates), max_squared_norm)
        return jax.tree.map(jnp.subtract, new, params), state

    if not max_squared_norm:
        return optax.identity()
    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
