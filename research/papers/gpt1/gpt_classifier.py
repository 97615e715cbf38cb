"""A language model fine-tuned to a task (Radford et al. 2018, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from research.models.gpt import GPT


class GPTClassifier(nn.Module):
    """A linear layer on the hidden state at the last token of each sequence.

    Attributes:
      gpt: attributes of the language model, its vocabulary extended by the task's tokens.
      num_classes: outputs; 0 for multiple choice, whose classes are the sequences.
      dropout: before the layer.
      dtype: compute dtype.
    """

    gpt: Mapping[str, Any]
    num_classes: int
    dropout: float = 0.1
    dtype: jnp.dtype | None = None

    def setup(self) -> None:
        self.body = GPT(**self.gpt, dtype=self.dtype)
        start = nn.initializers.normal(0.02)
        self.head = nn.Dense(self.num_classes or 1, kernel_init=start, name="head")
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, tokens: jax.Array, last: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Class logits of every question.

        Args:
          tokens: `[B, A, T]`, A sequences a question.
          last: `[B, A]`, where each sequence ends.
          train: dropout on (needs a "dropout" key).

        Returns:
          logits `[B, C]` in float32, C being A for multiple choice, and intermediates: "hidden"
          `[B, A, T, D]`, what the language model's logits are made of.
        """
        flat = tokens.reshape(-1, tokens.shape[-1])
        hidden, _ = self.body.encode(flat, train=train)
        hidden = hidden.reshape(*tokens.shape, -1)
        ends = jnp.take_along_axis(hidden, last[:, :, None, None], axis=2)[:, :, 0]
        ends = self.drop(ends.astype(jnp.float32), deterministic=not train)
        if self.num_classes:
            return self.head(jnp.sum(ends, axis=1)), {"hidden": hidden}
        return self.head(ends)[..., 0], {"hidden": hidden}


def with_language_model(params: Any, pretrained: Any) -> Any:
    """A classifier's fresh parameters, the language model's put in their place.

    The rows of the table beyond the pre-trained vocabulary, those of the task's tokens, stay fresh.
    """
    fresh = params["body"]["embedding"]
    learned = pretrained["embedding"]
    table = jnp.concatenate([learned, fresh[learned.shape[0] :]])
    return {**params, "body": {**pretrained, "embedding": table}}
