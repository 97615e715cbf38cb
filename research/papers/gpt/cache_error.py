"""How far a model's key-value cache is from its own forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from research.decoding.complete import left_padded


def cache_error(model: nn.Module, params: Any, tokens: np.ndarray, lengths: Sequence[int]) -> float:
    """Largest difference between logits made one by one from the cache, and all at once.

    Args:
      model: as for `complete`; called with `tokens [R, T]` and `train` it returns all logits first.
      params: its parameters.
      tokens: `[R, T]`.
      lengths: `[R]`, how many of each row's tokens are its prompt; T less the longest are then fed
        to each row, one at a time.
    """
    padded, counts = left_padded([row[:n] for row, n in zip(tokens, lengths, strict=True)])
    fed = tokens.shape[1] - max(lengths)
    places = counts[:, None] - 1 + np.arange(fed + 1)  # from each prompt's last token on
    chosen = np.take_along_axis(tokens, places, axis=1)

    def apply(params: Any, *inputs: Any, **options: Any) -> Any:
        return model.apply({"params": params}, *inputs, **options)

    @jax.jit
    def run(params: Any) -> jax.Array:
        def step(state: Any, token: jax.Array) -> tuple[Any, jax.Array]:
            return apply(params, state, token, method="step")

        start = apply(params, padded, counts, tokens.shape[1], method="start")
        _, one_by_one = jax.lax.scan(step, start, jnp.asarray(chosen.T))
        at_once, _ = apply(params, tokens, train=False)
        at_once = jnp.take_along_axis(at_once, places[:, :, None], axis=1)
        return jnp.max(jnp.abs(jnp.swapaxes(one_by_one, 0, 1) - at_once))

    return float(run(params))
