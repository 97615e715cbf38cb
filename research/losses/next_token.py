"""The loss of a language model, as a `Learner` takes it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from research.core.learner import Aux, Learner, LossFn
from research.losses.tied_cross_entropy import tied_cross_entropy


def next_token_loss(learner: Learner, chunks: int) -> LossFn:
    """Mean nats of every token of `batch["tokens"] [B, T + 1]` but the first.

    Args:
      learner: its model has the method `encode(tokens [B, T], train) -> (hidden [B, T, D], _)` and
        the parameter "embedding" `[V, D]`, its output layer.
      chunks: see `tied_cross_entropy`.
    """

    def loss_fn(variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        inputs, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
        hidden, _ = learner.apply(
            variables, inputs, train=True, rngs={"dropout": key}, method="encode"
        )
        table, weights = variables["params"]["embedding"], jnp.ones(targets.shape)
        return tied_cross_entropy(hidden, table, targets, weights, chunks), Aux()

    return loss_fn
