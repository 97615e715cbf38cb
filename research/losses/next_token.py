"""The loss of a language model whose output layer is its token embedding."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from research.core.learner import Learner
from research.losses.tied_cross_entropy import tied_cross_entropy


def next_token_loss(
    learner: Learner, variables: Any, tokens: jax.Array, key: jax.Array, chunks: int = 1
) -> jax.Array:
    """Mean nats of every token but the first, each given those before it.

    Args:
      learner: its model has the method `encode(tokens [B, T], train) -> (hidden [B, T, D], _)` and
        the parameter "embedding" `[V, D]`, its output layer.
      variables: of the model.
      tokens: `[B, T + 1]`.
      key: of dropout.
      chunks: pieces that the logits are made in; see `tied_cross_entropy`.
    """
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    hidden, _ = learner.apply(variables, inputs, train=True, rngs={"dropout": key}, method="encode")
    table, weights = variables["params"]["embedding"], jnp.ones(targets.shape)
    return tied_cross_entropy(hidden, table, targets, weights, chunks)
