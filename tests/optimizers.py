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
    tx: optax.GradientTransformation, params: Any, gradients: Iterable[Any]
) -> list[Any]:
    """What an optimizer adds to the parameters after each of the gradients."""

    def float32(tree: Any) -> Any:
        return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)

    params = float32(params)
    state, found = tx.init(params), []
    for gradient in gradients:
        updates, state = tx.update(float32(gradient), state, params)
        params = optax.apply_updates(params, updates)
        found.append(jax.tree.map(np.asarray, updates))
    return found
