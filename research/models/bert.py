"""BERT (Devlin, Chang, Lee, Toutanova, 2018, arXiv:1810.04805): encoder, and layers for tasks.

A Transformer that sees both sides of a word: norms after each residual sum, GELU in its exact form,
learned positions, and an embedding of the segment that a token is in. `causal` makes the rival of
table 5 of it, which sees the left side alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from research.core.errors import UserError
from research.core.partition import BATCH, constrain
from research.models import gpt
from research.nn.attention import padding_mask
from research.nn.transformer_block import TransformerBlock

# Exact counts with the vocabulary of 30,522: the encoder with its pooler, and with the layers that
# pre-training has in addition. The paper prints 110M and 340M.
PARAMETERS = {"base": 109_482_240, "large": 335_141_888}
PRETRAINING_PARAMETERS = {"base": 110_106_428, "large": 336_226_108}

# The tables and the blocks lie as those of GPT do.
RULES = (
    *gpt.RULES,
    (r"(pooler|transform)/kernel$", P("fsdp", "model")),
)
decayed = gpt.decayed  # kernels and embeddings: neither biases nor what norms have

KINDS = ("classification", "tagging", "spans")
EPSILON = 1e-12  # of norms
_UNROLLED = 4  # so few layers are no loop: on a CPU that costs more than compiling each
_gelu = functools.partial(nn.gelu, approximate=False)


class _Layer(nn.Module):
    """What the scan over layers runs over."""

    block: dict[str, Any]
    remat: str

    def setup(self) -> None:
        kind = TransformerBlock
        if self.remat:
            policy = gpt.REMAT[self.remat]
            kind = nn.remat(kind, policy=policy, static_argnums=(2,), prevent_cse=False)
        self.block_ = kind(**self.block, name="block")

    def __call__(
        self, x: jax.Array, per_layer: None, mask: jax.Array, train: bool, keep: bool
    ) -> tuple[jax.Array, jax.Array | None]:
        x, _ = self.block_(x, train, mask)
        return x, x if keep else None


class BERT(nn.Module):
    """The encoder.

    Parameters of all layers lie in arrays `[layers, ...]`.

    Attributes:
      vocab_size: V.
      layers, dim, num_heads, head_dim, hidden: depth and widths.
      max_length: rows of the position table.
      segments: rows of the segment table.
      dropout, attention_dropout: of embeddings and sublayers, of attention weights.
      init_std: deviation of the normal that kernels and tables start from, cut off at two of them.
      causal: a position sees none after it.
      remat: "" keeps all activations for the backward pass, "dots" the matrix products, "block"
        the input of each block.
      dtype: compute dtype; parameters and softmax are float32.
    """

    vocab_size: int
    layers: int
    dim: int
    num_heads: int
    head_dim: int
    hidden: int
    max_length: int
    segments: int = 2
    dropout: float = 0.1
    attention_dropout: float = 0.1
    init_std: float = 0.02
    causal: bool = False
    remat: str = ""
    dtype: jnp.dtype | None = None

    def setup(self) -> None:
        start = nn.initializers.truncated_normal(self.init_std)
        self.table = self.param("embedding", start, (self.vocab_size, self.dim))
        self.positions = self.param("position_embedding", start, (self.max_length, self.dim))
        self.segment_table = self.param("segment_embedding", start, (self.segments, self.dim))
        self.embedding_norm = nn.LayerNorm(epsilon=EPSILON, dtype=self.dtype)
        self.drop = nn.Dropout(self.dropout)
        block = dict(
            dim=self.dim,
            num_heads=self.num_heads,
            head_dim=self.head_dim,
            hidden=self.hidden,
            pre_norm=False,
            causal=self.causal,
            fused=True,
            activation=_gelu,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            epsilon=EPSILON,
            kernel_init=start,
            dtype=self.dtype,
        )
        self.blocks = nn.scan(
            _Layer,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(0, nn.broadcast, nn.broadcast, nn.broadcast),
            length=self.layers,
            unroll=self.layers if self.layers <= _UNROLLED else 1,
        )(block, self.remat, name="layers")
        self.pooler = nn.Dense(self.dim, kernel_init=start, dtype=self.dtype)

    def __call__(
        self,
        tokens: jax.Array,
        segments: jax.Array,
        length: jax.Array,
        *,
        train: bool,
        keep_layers: bool = False,
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Hidden states of every token.

        Args:
          tokens, segments: `[B, T]`.
          length: `[B]`, tokens of each row that are no padding.
          train: dropout on (needs a "dropout" key).
          keep_layers: give the output of every layer as well.

        Returns:
          `[B, T, D]`, and intermediates: "pooled" `[B, D]`, tanh of a layer on the first token, and
          "layers" `[L + 1, B, T, D]`, the embeddings first, or None.

        Raises:
          UserError: there are more tokens than positions.
        """
        if tokens.shape[1] > self.max_length:
            raise UserError(
                f"rows of {tokens.shape[1]} tokens do not fit model.max_length={self.max_length}"
            )
        x = embedded = self._embed(tokens, segments, train)
        mask = padding_mask(jnp.arange(tokens.shape[1]) < length[:, None])
        x, kept = self.blocks(x, None, mask, train, keep_layers)
        layers = None if kept is None else jnp.concatenate([embedded[None], kept])
        return x, {"pooled": jnp.tanh(self.pooler(x[:, 0])), "layers": layers}

    def _embed(self, tokens: jax.Array, segments: jax.Array, train: bool) -> jax.Array:
        tables = [self.table, self.positions, self.segment_table]
        if self.dtype is not None:
            tables = [table.astype(self.dtype) for table in tables]
        # Rows are picked from tables that are split as they will be.
        words, places, kinds = (constrain(table, None, "model") for table in tables)
        x = jnp.take(words, tokens, axis=0) + places[: tokens.shape[1]]
        x = self.embedding_norm(x + jnp.take(kinds, segments, axis=0))
        return self.drop(constrain(x, BATCH, None, "model"), deterministic=not train)


class BERTPretraining(nn.Module):
    """The encoder with what its two tasks need (section 3.1).

    Attributes:
      bert: attributes of the encoder.
      dtype: compute dtype; logits are float32.
    """

    bert: Mapping[str, Any]
    dtype: jnp.dtype | None = None

    def setup(self) -> None:
        self.encoder = BERT(**self.bert, dtype=self.dtype)
        start = nn.initializers.truncated_normal(self.encoder.init_std)
        dim, vocab_size = self.encoder.dim, self.encoder.vocab_size
        self.transform = nn.Dense(dim, kernel_init=start, dtype=self.dtype)
        self.transform_norm = nn.LayerNorm(epsilon=EPSILON, dtype=self.dtype)
        self.word_bias = self.param("word_bias", nn.initializers.zeros, (vocab_size,))
        self.next_sentence = nn.Dense(2, kernel_init=start)

    def __call__(
        self,
        tokens: jax.Array,
        segments: jax.Array,
        length: jax.Array,
        positions: jax.Array,
        *,
        train: bool,
    ) -> tuple[tuple[jax.Array, jax.Array], dict[str, Any]]:
        """Logits of both tasks.

        Args:
          tokens, segments, length: see `BERT`.
          positions: `[B, P]`, where words are asked for.
          train: dropout on.

        Returns:
          Word logits `[B, P, V]`, logits `[B, 2]` of whether the second segment follows the first
          (class 0) or is another (class 1), and the encoder's intermediates.
        """
        hidden, seen = self.encoder(tokens, segments, length, train=train)
        asked = jnp.take_along_axis(hidden, positions[..., None], axis=1)
        # LN(gelu(W h + b)) E' + c
        asked = self.transform_norm(_gelu(self.transform(asked)))
        table = self.encoder.table.astype(asked.dtype)
        words = jnp.einsum("bpd,vd->bpv", asked, table, preferred_element_type=jnp.float32)
        follows = self.next_sentence(seen["pooled"].astype(jnp.float32))
        return (words + self.word_bias, follows), seen


class BERTTask(nn.Module):
    """The encoder with one layer for a task (section 4, figure 4).

    Attributes:
      bert: attributes of the encoder.
      kind: "classification" of a text or a pair, from the pooled first token; "tagging" of every
        token; "spans", whose two outputs a token are the scores of an answer's start and its end.
      outputs: classes or tags; 1 for a number, as in STS-B.
      dropout: before the layer; none before that of spans, as in the released code.
      dtype: compute dtype; logits are float32.
    """

    bert: Mapping[str, Any]
    kind: str
    outputs: int
    dropout: float = 0.1
    dtype: jnp.dtype | None = None

    def setup(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        self.encoder = BERT(**self.bert, dtype=self.dtype)
        start = nn.initializers.truncated_normal(self.encoder.init_std)
        self.head = nn.Dense(self.outputs, kernel_init=start)
        self.drop = nn.Dropout(0.0 if self.kind == "spans" else self.dropout)

    def __call__(
        self, tokens: jax.Array, segments: jax.Array, length: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, outputs]`, or `[B, T, outputs]`, and the encoder's intermediates."""
        hidden, seen = self.encoder(tokens, segments, length, train=train)
        x = seen["pooled"] if self.kind == "classification" else hidden
        return self.head(self.drop(x.astype(jnp.float32), deterministic=not train)), seen


def with_encoder(params: Mapping[str, Any], pretrained: Mapping[str, Any]) -> dict[str, Any]:
    """A task's fresh parameters with the pre-trained encoder in place of its own."""
    return {**params, "encoder": pretrained["encoder"]}
