"""Recurrent networks that read a text to judge it, or to predict or repeat its words.

After Dai and Le, Semi-supervised Sequence Learning (2015, arXiv:1511.01432). A layer of LSTM cells
has 4 h (i + h + 1) parameters, of i inputs and h cells.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.recurrent import CELLS, RNN, RNNOutput
from research.nn.sequence_pooling import SequencePooling


class WordReader(nn.Module):
    """Word vectors and a recurrent network over them: what pre-training hands over.

    Attributes:
      vocab_size: V.
      embedding: size of a word's vector.
      cell: "lstm", "gru" or "rnn".
      units: of each layer and direction.
      layers: how many lie on top of each other.
      bidirectional: read both ways.
      forget_bias: where the forget gates of an LSTM begin.
      cell_clip: largest magnitude of an LSTM's cells; 0 for any.
      word_dropout: share of the words whose whole vector is left out.
      embedding_dropout: share of each vector's numbers that are left out.
      truncate_steps: steps that a gradient goes back; 0 for all.
    """

    vocab_size: int
    embedding: int
    cell: str = "lstm"
    units: int = 64
    layers: int = 1
    bidirectional: bool = False
    forget_bias: float = 1.0
    cell_clip: float = 0.0
    word_dropout: float = 0.0
    embedding_dropout: float = 0.0
    truncate_steps: int = 0

    @nn.compact
    def __call__(self, tokens: jax.Array, lengths: jax.Array, *, train: bool) -> RNNOutput:
        """Reads `tokens [B, T]`, rows of `lengths [B]` words and then padding."""
        init = nn.initializers.normal(self.embedding**-0.5)
        table = self.param("embedding", init, (self.vocab_size, self.embedding))
        x = jnp.take(table, tokens, axis=0)
        # One draw for all numbers of a word.
        x = nn.Dropout(self.word_dropout, broadcast_dims=(2,))(x, deterministic=not train)
        x = nn.Dropout(self.embedding_dropout)(x, deterministic=not train)
        gates = {"forget_bias": self.forget_bias, "cell_clip": self.cell_clip}
        options: dict[str, Any] = gates if self.cell == "lstm" else {}
        network = RNN(
            functools.partial(CELLS[self.cell], self.units, **options),
            self.layers,
            bidirectional=self.bidirectional,
            truncate_steps=self.truncate_steps,
            name="rnn",
        )
        return network(x, lengths=lengths, train=train)


class RecurrentClassifier(nn.Module):
    """A reader, one vector of all that it has read, and a classifier of it.

    Attributes:
      reader: attributes of the `WordReader`.
      num_classes: C.
      pooling: "last", the state after the last word (in both directions, where there are two), or
        what `SequencePooling` takes.
      attention: size of the layer that scores words, for "attention".
      hidden: units of the layer between the vector and the classes; 0 for none.
      dropout: of the vector, and of what the hidden layer gives.
    """

    reader: Any
    num_classes: int = 2
    pooling: str = "last"
    attention: int = 0
    hidden: int = 0
    dropout: float = 0.0

    def setup(self) -> None:
        self.read = WordReader(**self.reader, name="reader")
        if self.pooling != "last":
            self.pool = SequencePooling(self.pooling, self.attention)
        if self.hidden:
            self.middle = nn.Dense(self.hidden)
        self.head = nn.Dense(self.num_classes)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, tokens: jax.Array, lengths: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Class logits of texts.

        Args:
          tokens: `[B, T]`, padded at the end.
          lengths: `[B]`, words of each row, one or more.
          train: dropout on (needs a "dropout" key).

        Returns:
          logits `[B, C]`, and intermediates: "weights" `[B, T]`, what each word counts for in the
          vector that is classified, which sum to 1.
        """
        found = self.read(tokens, lengths, train=train)
        if self.pooling != "last":
            vector, weights = self.pool(found.outputs, lengths)
            return self.classify(vector, train), {"weights": weights}
        ends = [jax.tree.leaves(carry)[-1] for carry in found.carry[-1]]  # h of each direction
        places = (lengths - 1, jnp.zeros_like(lengths))[: len(ends)]
        last_words = [jax.nn.one_hot(place, tokens.shape[1]) for place in places]
        weights = jnp.mean(jnp.stack(last_words), axis=0)
        return self.classify(jnp.concatenate(ends, axis=-1), train), {"weights": weights}

    def every_word(
        self, tokens: jax.Array, lengths: jax.Array, *, train: bool = False
    ) -> jax.Array:
        """Logits `[B, T, C]` after each word, of the state that a network has there."""
        return self.classify(self.read(tokens, lengths, train=train).outputs, train)

    def classify(self, vectors: jax.Array, train: bool) -> jax.Array:
        """Logits `[..., C]` of vectors `[..., F]`."""
        x = self.drop(vectors, deterministic=not train)
        if self.hidden:
            x = self.drop(nn.relu(self.middle(x)), deterministic=not train)
        return self.head(x)


class WordPredictor(nn.Module):
    """The same reader with a softmax over words after each one.

    Attributes:
      reader: attributes of the `WordReader`.
      dtype: of the product before the softmax.
    """

    reader: Any
    dtype: Dtype | None = None

    @nn.compact
    def __call__(
        self, tokens: jax.Array, lengths: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits `[B, T, V]` in float32 of what comes after each of `tokens [B, T]`, and nothing
        beside them."""
        outputs = WordReader(**self.reader, name="reader")(tokens, lengths, train=train).outputs
        logits = nn.Dense(self.reader["vocab_size"], dtype=self.dtype, name="softmax")(outputs)
        return logits.astype(jnp.float32), {}
