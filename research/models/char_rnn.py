"""Recurrent networks that read characters and predict the next (Karpathy et al., 2015).

Exact counts for 65 characters, with two bias vectors in a layer: 240,321 for two LSTM layers of 128
units, the defaults of the released code; 5,421,633 for three of 512.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype, Initializer

from research.nn.decoder_state import DecoderState
from research.nn.fan_in import within
from research.nn.recurrent import CELLS, RNN, LSTMGates


def forget_gate_bias(rest: Initializer, value: float) -> Initializer:
    """Starts the bias of an `LSTMCell`: `value` at the forget gates, `rest` at the others."""

    def init(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        units = shape[0] // 4  # in the order i, f, g, o
        return rest(key, shape, dtype).at[units : 2 * units].set(value)

    return init


class Trace(NamedTuple):
    """What an LSTM does while it reads, leaves `[L, B, T, units]` of L layers.

    Attributes:
      cells: tanh(c) after each character, -1 to 1.
      gates: of the step that reads it.
    """

    cells: jax.Array
    gates: LSTMGates


class CharRNN(nn.Module):
    """L layers of recurrent cells read one-hot characters; a linear layer predicts the next.

    Attributes:
      vocab_size: V.
      cell: "lstm", "gru" or "rnn".
      layers: L.
      units: of each layer.
      dropout: of what each layer but the first reads, and of what the last one gives; never of what
        a layer reads of its own past.
      forget_bias: where the forget gates' bias of the input side starts; that of the recurrent side
        starts like all else.
      init_scale: every other parameter starts uniform between minus this and this.
      dtype: of the product before the softmax; everything else is in float32.
    """

    vocab_size: int
    cell: str = "lstm"
    layers: int = 2
    units: int = 128
    dropout: float = 0.0
    forget_bias: float = 1.0
    init_scale: float = 0.08
    dtype: Dtype | None = None

    def setup(self) -> None:
        uniform = within(self.init_scale)
        start = {"kernel_init": uniform, "recurrent_init": uniform, "bias_init": uniform}
        options: dict[str, Any] = {"two_biases": True, **start}
        if self.cell == "lstm":
            options["input_bias_init"] = forget_gate_bias(uniform, self.forget_bias)
            options["forget_bias"] = 0.0  # it is in the parameter
        cell = functools.partial(CELLS[self.cell], self.units, **options)
        self.rnn = RNN(cell, self.layers, dropout=self.dropout)
        self.drop = nn.Dropout(self.dropout)
        self.decoder = nn.Dense(
            self.vocab_size, kernel_init=uniform, bias_init=uniform, dtype=self.dtype
        )

    def initial_carry(self, batch: int) -> Any:
        """The state before a text: zeros, leaves `[batch, units]`."""
        return self.rnn.initial_carry(batch)

    def __call__(
        self, tokens: jax.Array, carry: Any = None, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Logits of the character after each one.

        Args:
          tokens: `[B, T]`.
          carry: the state before the first of them; None for zeros.
          train: dropout on (needs a "dropout" key).

        Returns:
          logits `[B, T, V]` in float32, and intermediates: "carry", the state after the last one.
        """
        found = self.rnn(self._one_hot(tokens), carry, train=train)
        outputs = self.drop(found.outputs, deterministic=not train)
        return self._logits(outputs), {"carry": found.carry}

    def trace(self, tokens: jax.Array) -> Trace:
        """The cells and gates of an LSTM while it reads `tokens [B, T]` from zeros."""
        x = jnp.swapaxes(self._one_hot(tokens), 0, 1)
        layers = []
        for cell in self.rnn.forward_cells:
            weights, given = cell.prepare(x)

            def body(carry, given, cell=cell, weights=weights):
                gates = cell.gates(weights, carry, given)
                carry, out = cell.step(weights, carry, given)
                return carry, (out, Trace(jnp.tanh(carry[0]), gates))

            _, (x, trace) = jax.lax.scan(body, cell.initial_carry(len(tokens)), given)
            layers.append(jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), trace))
        return jax.tree.map(lambda *parts: jnp.stack(parts), *layers)

    def start(self, prompt: jax.Array, lengths: jax.Array, max_length: int) -> DecoderState:
        """State after all but the last token of each prompt; its size is always the same.

        Args:
          prompt: `[R, P]`, filled up in front.
          lengths: `[R]`, tokens of each.
          max_length: not used.
        """
        steps = jnp.arange(prompt.shape[1] - 1)
        first = steps == prompt.shape[1] - lengths[:, None]
        carry = self.rnn(self._one_hot(prompt[:, :-1]), first=first).carry
        # A prompt of one token begins with the last column: all before it is padding.
        alone = lengths[:, None] == 1
        return DecoderState(jax.tree.map(lambda part: jnp.where(alone, 0.0, part), carry))

    def step(self, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        """Feeds `token [R]`, and returns the logits `[R, V]` of the one after it."""
        found = self.rnn(self._one_hot(token[:, None]), state.carry)
        return DecoderState(found.carry), self._logits(found.outputs[:, 0])

    def _one_hot(self, tokens: jax.Array) -> jax.Array:
        return jax.nn.one_hot(tokens, self.vocab_size)

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.decoder(x).astype(jnp.float32)
