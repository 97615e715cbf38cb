"""Sequence to Sequence Learning with Neural Networks (Sutskever, Vinyals, Le, 2014), section 2.

Exact count of the paper's sizes, with one bias vector in a layer: 384,112,000, of which 64,032,000
are recurrent; the paper rounds to 384 and 64 million.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.decoder_state import DecoderState
from research.nn.fan_in import within
from research.nn.recurrent import RNN, LSTMCell


def reverse_words(tokens: jax.Array, lengths: jax.Array) -> jax.Array:
    """The words of each row backward; its end token and the padding stay where they are.

    Args:
      tokens: `[B, S]`.
      lengths: `[B]`, tokens of each row, the end token being the last of them.
    """
    places = jnp.arange(tokens.shape[1])
    last = lengths[:, None] - 2  # place of the last word
    return jnp.take_along_axis(tokens, jnp.where(places <= last, last - places, places), axis=1)


class Seq2Seq(nn.Module):
    """A deep LSTM reads the source, another one writes the target from what the first has kept.

    The last cells and outputs of every layer are all that passes from one to the other.

    Attributes:
      source_vocab, target_vocab: sizes of both vocabularies.
      layers: of each LSTM.
      embedding: size of a word's vector.
      units: cells of a layer.
      reverse: read the words of the source backward (section 3.3).
      forget_bias: added to the forget gate's own bias; the paper has none.
      init_scale: every parameter starts uniform between minus this and this (section 3.4).
      pad_id, bos_id: token that fills a batch up, and the one fed to the decoder first.
      dtype: of the product before the softmax; everything else is in float32.
    """

    source_vocab: int
    target_vocab: int
    layers: int
    embedding: int
    units: int
    reverse: bool = True
    forget_bias: float = 0.0
    init_scale: float = 0.08
    pad_id: int = 0
    bos_id: int = 1
    dtype: Dtype | None = None

    def setup(self) -> None:
        uniform = within(self.init_scale)
        self.source_table = self.param(
            "source_embedding", uniform, (self.source_vocab, self.embedding)
        )
        self.target_table = self.param(
            "target_embedding", uniform, (self.target_vocab, self.embedding)
        )
        cell = functools.partial(
            LSTMCell,
            self.units,
            forget_bias=self.forget_bias,
            kernel_init=uniform,
            recurrent_init=uniform,
            bias_init=uniform,
        )
        self.encoder = RNN(cell, self.layers)
        self.decoder = RNN(cell, self.layers)
        self.softmax = nn.Dense(
            self.target_vocab, kernel_init=uniform, bias_init=uniform, dtype=self.dtype
        )

    def __call__(
        self, source: jax.Array, target: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Logits of every target token given those before it.

        Args:
          source: `[B, S]` tokens, padded at the end with `pad_id`.
          target: `[B, T]` tokens to predict; shifted right in here.
          train: nothing differs.

        Returns:
          logits `[B, T, V]` in float32, and intermediates: "sentence" `[B, units]`, the output of
          the encoder's top layer after the last token.
        """
        carry = self.encode(source)
        shifted = jnp.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=self.bos_id)
        x = jnp.take(self.target_table, shifted, axis=0)
        # Padding comes after all that is counted, and the decoder only looks back.
        outputs = self.decoder(x, carry, train=train).outputs
        return self._logits(outputs), {"sentence": carry[-1][0][1]}

    def encode(self, source: jax.Array) -> tuple[tuple[Any, ...], ...]:
        """The state of every layer after the last source token, as an `RNN` begins with it."""
        lengths = jnp.sum(source != self.pad_id, axis=1)
        if self.reverse:
            source = reverse_words(source, lengths)
        return self.encoder(jnp.take(self.source_table, source, axis=0), lengths=lengths).carry

    def start(self, source: jax.Array, max_length: int) -> DecoderState:
        """State before the first target token; its size does not depend on `max_length`."""
        return DecoderState(self.encode(source))

    def step(self, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        """Feeds `token [R]`, and returns the logits `[R, V]` of the one after it."""
        x = jnp.take(self.target_table, token, axis=0)
        found = self.decoder(x[:, None], state.carry)
        return DecoderState(found.carry), self._logits(found.outputs[:, 0])

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.softmax(x).astype(jnp.float32)
