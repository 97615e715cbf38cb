"""The first phase: a language model of text without labels (Radford et al. 2018, section 3.1)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from research.core import Aux, Experiment, Learner, Source
from research.losses.next_token import next_token_loss
from research.models import gpt


class LanguageModelling(Experiment):
    """A model that learns to predict each next token.

    Attributes:
      learner: of a `GPT`.
      loss_chunks: pieces that the logits are made in.
      num_steps, source, per_step, micro_batches: see `Experiment`; batches are
        `{"tokens": [B, T + 1]}`.
    """

    rules = gpt.RULES

    def __init__(
        self,
        learner: Learner,
        source: Source,
        *,
        num_steps: int,
        tokens_per_step: int,
        loss_chunks: int = 1,
    ):
        self.learner, self.source, self.num_steps = learner, source, num_steps
        self.loss_chunks = loss_chunks
        self.micro_batches = learner.accumulate
        self.per_step = {"tokens": tokens_per_step}

    def init(self, key: jax.Array) -> dict[str, Any]:
        return {"learner": self.learner.init(key, jnp.zeros((1, 2), jnp.int32), train=False)}

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """-L1: mean nats of every token given those before it (equation 1)."""
        tokens = batch["tokens"]
        return next_token_loss(self.learner, variables, tokens, key, self.loss_chunks), Aux()

    def step(
        self, state: dict[str, Any], batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[dict[str, Any], dict[str, jax.Array]]:
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics
