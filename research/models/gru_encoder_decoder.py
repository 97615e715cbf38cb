"""The translators of Cho et al. (2014, 1406.1078) and of Bahdanau et al. (2014, 1409.0473).

The first, RNNencdec, keeps one vector of a sentence; the second, RNNsearch, one of every word, and
looks for those it needs. With the sizes of the second paper's appendix it has 80,443,000
parameters, biases among them.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.additive_attention import additive_scores, masked_softmax
from research.nn.decoder_state import DecoderState
from research.nn.recurrent import RNN, GRUCell, side_by_side

ALIGNMENT = nn.initializers.normal(0.001)  # of W_a and U_a (B.1)


class GRUEncoderDecoder(nn.Module):
    """A gated recurrent encoder, and a decoder with the context in its gates and a maxout layer.

    With `alignment` (Bahdanau et al., A.1 and A.2), for annotations h of a bidirectional encoder:

        s_0 = tanh(W_s h_1), the annotation of the first word in the backward direction
        e_ij = v_a' tanh(W_a s_{i-1} + U_a h_j),  a_i = softmax_j(e_ij),  c_i = sum_j a_ij h_j
        s_i = GRU(s_{i-1}, E y_{i-1}, c_i)
        t_i = maxout(U_o s_{i-1} + V_o E y_{i-1} + C_o c_i),  p(y_i) = softmax(W_o t_i)

    Without it (Cho et al., appendix A), for the last state h_S of a forward encoder:

        c = tanh(V h_S),  s_0 = tanh(V' c)
        s_i = GRU(s_{i-1}, E y_{i-1}, c)
        t_i = maxout(O_h s_i + O_y E y_{i-1} + O_c c),  p(y_i) = softmax(G t_i)

    Both reset the state before its product, as Bahdanau et al. print it. The decoder is fed a token
    first, for which the papers have a zero vector.

    Attributes:
      source_vocab, target_vocab: K_x and K_y.
      embedding: m, size of a word's vector.
      units: n, of each direction of the encoder and of the decoder.
      maxout: l, units of the output layer, each the larger of two.
      alignment: n', hidden units of the alignment model; 0 for one vector of a sentence.
      init_scale: standard deviation of all weights that nothing else is said of (B.1).
      pad_id, bos_id: token that fills a batch up, and the one fed to the decoder first.
      dtype: of the product before the softmax; everything else is in float32.
    """

    source_vocab: int
    target_vocab: int
    embedding: int
    units: int
    maxout: int
    alignment: int
    init_scale: float = 0.01
    pad_id: int = 0
    bos_id: int = 1
    dtype: Dtype | None = None

    def setup(self) -> None:
        gaussian = nn.initializers.normal(self.init_scale)
        n, dense = self.units, functools.partial(nn.Dense, kernel_init=gaussian)
        self.source_table = self.param(
            "source_embedding", gaussian, (self.source_vocab, self.embedding)
        )
        self.target_table = self.param(
            "target_embedding", gaussian, (self.target_vocab, self.embedding)
        )
        orthogonal = side_by_side(nn.initializers.orthogonal(), 3)
        cell = functools.partial(GRUCell, n, kernel_init=gaussian, recurrent_init=orthogonal)
        self.encoder = RNN(cell, bidirectional=self.alignment > 0)
        self.cell = cell()
        width = 2 * n if self.alignment else n  # of a context
        self.context_kernel = self.param("context_kernel", gaussian, (width, 3 * n))
        self.first_state = dense(n)  # W_s, or V'
        if self.alignment:
            self.alignment_query = self.param("W_a", ALIGNMENT, (n, self.alignment))
            self.alignment_key = self.param("U_a", ALIGNMENT, (width, self.alignment))
            self.alignment_bias = self.param("b_a", nn.initializers.zeros, (self.alignment,))
            self.alignment_score = self.param("v_a", nn.initializers.zeros, (self.alignment, 1))
        else:
            self.summary = dense(n)  # V
        self.from_state = dense(2 * self.maxout)
        self.from_word = dense(2 * self.maxout, use_bias=False)
        self.from_context = dense(2 * self.maxout, use_bias=False)
        self.softmax = dense(self.target_vocab, dtype=self.dtype)

    def __call__(
        self, source: jax.Array, target: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Logits of every target token given those before it.

        Args:
          source: `[B, S]` tokens, padded at the end with `pad_id`.
          target: `[B, T]` tokens to predict; shifted right in here.
          train: nothing differs.

        Returns:
          logits `[B, T, K_y]` in float32, and intermediates: "sentence" `[B, n]`, the decoder's
          first state, and with `alignment` "alignment" `[B, T, S]`, the weights a_ij.
        """
        carry, context = self.encode(source)
        shifted = jnp.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=self.bos_id)
        words = jnp.take(self.target_table, shifted.T, axis=0)  # time first
        weights, given = self._prepare(words)
        step = functools.partial(self._advance, weights, context)
        _, (states, contexts, alignment) = jax.lax.scan(step, carry, given)
        logits = self._logits(*(jnp.swapaxes(x, 0, 1) for x in (states, words, contexts)))
        seen = {"sentence": carry}
        if alignment is not None:
            seen["alignment"] = jnp.swapaxes(alignment, 0, 1)
        return logits, seen

    def encode(self, source: jax.Array) -> tuple[jax.Array, Any]:
        """The decoder's first state `[B, n]`, and all that it will ask about the source.

        The latter is `(h [B, S, 2n], U_a h [B, S, n'], mask [B, S])`, or c `[B, n]`.
        """
        mask = source != self.pad_id
        x = jnp.take(self.source_table, source, axis=0)
        found = self.encoder(x, lengths=jnp.sum(mask, axis=1))
        if not self.alignment:
            context = jnp.tanh(self.summary(found.carry[0][0]))
            return jnp.tanh(self.first_state(context)), context
        backward = found.carry[0][1]
        memory = (found.outputs, found.outputs @ self.alignment_key, mask)
        return jnp.tanh(self.first_state(backward)), memory

    def start(self, source: jax.Array, max_length: int) -> DecoderState:
        """State before the first target token; its size does not depend on `max_length`."""
        return DecoderState(*self.encode(source))

    def step(self, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        """Feeds `token [R]`, and returns the logits `[R, K_y]` of the one after it."""
        word = jnp.take(self.target_table, token, axis=0)
        weights, given = self._prepare(word)
        carry, (s, c, _) = self._advance(weights, state.context, state.carry, given)
        return DecoderState(carry, state.context), self._logits(s, word, c)

    def _prepare(self, words: jax.Array) -> tuple[Any, jax.Array]:
        """What a step needs of the parameters, and of its word."""
        weights, given = self.cell.prepare(words)
        alignment: tuple[jax.Array, ...] = ()
        if self.alignment:
            alignment = self.alignment_query, self.alignment_bias, self.alignment_score
        return (weights, self.context_kernel, alignment), given

    def _advance(
        self, weights: Any, context: Any, s: jax.Array, given: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array | None]]:
        """s_i from s_{i-1}, and what the output layer sees: a state, c_i; also a_i."""
        cell, context_kernel, alignment = weights
        if not self.alignment:
            new, _ = self.cell.step(cell, s, given + context @ context_kernel)
            return new, (new, context, None)
        query, bias, score = alignment
        annotations, keys, mask = context
        scores = additive_scores((s @ query + bias)[:, None, None], keys[:, :, None], score)
        a = masked_softmax(scores[..., 0], mask, axis=-1)
        c = jnp.einsum("bs,bsd->bd", a, annotations)
        new, _ = self.cell.step(cell, s, given + c @ context_kernel)
        return new, (s, c, a)

    def _logits(self, s: jax.Array, word: jax.Array, c: jax.Array) -> jax.Array:
        t = self.from_state(s) + self.from_word(word) + self.from_context(c)
        t = jnp.max(t.reshape(*t.shape[:-1], self.maxout, 2), axis=-1)
        return self.softmax(t).astype(jnp.float32)
