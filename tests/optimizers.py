"""Optimizers followed for some steps, for comparison with formulas."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

Params = Mapping[str, Any]


def some_gradients(params: Params, steps: int) -> list[dict[str, np.ndarray]]:
    """Gradients, each of another size, like the parameters."""
    rng = np.random.default_rng(0)
    return [
        {name: (0.5 + t) * rng.normal(size=np.shape(x)) for name, x in params.items()}
        for t in range(steps)
    ]


def updates_of(
    tx: optax.GradientTransformation, params: Params, gradients: Iterable[Params]
) -> list[dict[str, np.ndarray]]:
    """What an optimizer adds to the parameters after each of the gradients."""
    params = {name: jnp.asarray(x, jnp.float32) for name, x in params.items()}
    state, found = tx.init(params), []
    for gradient in gradients:
        gradient = {name: jnp.asarray(g, jnp.float32) for name, g in gradient.items()}
        updates, state = tx.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        found.append(jax.tree.map(np.asarray, updates))
    return found
