"""How much the blocks of a network add to its residual stream before it has learned anything."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def residual_growth(model: nn.Module, tokens: np.ndarray, seed: int) -> float:
    """Variance of the residual stream after all blocks, less that before them, at the start.

    Args:
      model: its intermediates have "embedded" and "residual" `[B, T, D]`.
      tokens: `[B, T]`.
      seed: of the parameters.
    """

    @jax.jit
    def run(key: jax.Array) -> jax.Array:
        (_, seen), _ = model.init_with_output(key, tokens, train=False)
        return jnp.var(seen["residual"]) - jnp.var(seen["embedded"])

    return float(run(jax.random.key(seed)))
