"""Attention Is All You Need (Vaswani et al. 2017), arXiv:1706.03762, section 3.

Exact counts (no attention biases, one tied table, no norm after the last layer): with 37,000 tokens
base 63,045,632 and big 214,171,648; the paper rounds its own to 65 and 213 million.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from research.nn.attention import KeysValues, causal_mask, empty_cache, padding_mask
from research.nn.decoder_state import DecoderState
from research.nn.positions import Positions
from research.nn.transformer_block import Memory, Names, TransformerBlock, Weights

_FEED_FORWARD = dict(expand="hidden_layer", contract="output_layer")
_ENCODER = Names(**_FEED_FORWARD)
_DECODER = Names(attention="self_attention", attention_norm="self_norm", **_FEED_FORWARD)


class EncoderLayer(TransformerBlock):
    """A block as the scan over layers calls it."""

    def encode(self, x: jax.Array, mask: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """The whole source; also returns the attention weights."""
        x, weights = self(x, train, mask, return_weights=True)
        assert weights is not None
        return x, weights.own


class DecoderLayer(TransformerBlock):
    """A block with attention to the source, as the scan over layers calls it.

    All methods take `(x, per_layer, shared)`, so that one scan serves each of them.
    """

    def decode(self, x: jax.Array, per_layer: None, shared: tuple) -> tuple[jax.Array, Weights]:
        """The whole target at once; also returns the weights of both attentions."""
        source, self_mask, cross_mask, train = shared
        memory = Memory(self.memory_keys_values(source), cross_mask)
        x, weights = self(x, train, self_mask, memory, return_weights=True)
        assert weights is not None
        return x, weights

    def decode_step(
        self, x: jax.Array, per_layer: tuple[KeysValues, KeysValues], shared: tuple
    ) -> tuple[jax.Array, KeysValues]:
        """One target position; also returns the extended cache."""
        cache, source = per_layer
        index, cross_mask = shared
        return self.step(x, cache, index, memory=Memory(source, cross_mask))

    def source_keys_values(
        self, source: jax.Array, per_layer: None, shared: None
    ) -> tuple[jax.Array, KeysValues]:
        return source, self.memory_keys_values(source)


class Transformer(nn.Module):
    """Encoder and decoder.

    One matrix is source embedding, target embedding and pre-softmax layer; as an embedding it is
    multiplied by sqrt(dim) (section 3.4). Parameters of all layers of a stack lie in one array,
    `[layers, ...]`, and the layers are scanned: compile time does not grow with depth.

    Attributes:
      vocab_size: V, shared by both languages.
      layers, dim, num_heads, head_dim, hidden, dropout: N, d_model, h, d_k = d_v, d_ff, P_drop.
      attention_bias: biases in the projections of attention (the paper's counts have none).
      pre_norm: normalise the input of each sublayer instead of the sum, and once more at the end.
      positions: "sinusoid", "learned" or "none".
      max_length: rows of the learned position tables.
      pad_id, bos_id: token that fills a batch up, and the one that targets are shifted right by.
      dtype: compute dtype; parameters, softmax and logits are float32.
    """

    vocab_size: int
    layers: int
    dim: int
    num_heads: int
    head_dim: int
    hidden: int
    dropout: float
    attention_bias: bool = False
    pre_norm: bool = False
    positions: str = "sinusoid"
    max_length: int = 512
    pad_id: int = 0
    bos_id: int = 1
    dtype: jnp.dtype | None = None

    def setup(self) -> None:
        # Scaled by sqrt(dim) on the way in, embeddings have variance one; positions have a half.
        self.table = self.param(
            "embedding", nn.initializers.normal(self.dim**-0.5), (self.vocab_size, self.dim)
        )
        self.source_positions = Positions(self.positions, self.max_length)
        self.target_positions = Positions(self.positions, self.max_length)
        self.drop = nn.Dropout(self.dropout)
        scan: dict[str, Any] = dict(
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.layers,
        )
        block: dict[str, Any] = dict(
            dim=self.dim,
            num_heads=self.num_heads,
            head_dim=self.head_dim,
            hidden=self.hidden,
            pre_norm=self.pre_norm,
            attention_bias=self.attention_bias,
            activation=nn.relu,
            dropout=self.dropout,
            dtype=self.dtype,
        )
        encoder = nn.scan(EncoderLayer, in_axes=nn.broadcast, **scan, methods=("encode",))
        self.encoder = encoder(**block, names=_ENCODER)
        decoder = nn.scan(
            DecoderLayer,
            in_axes=(0, nn.broadcast),
            **scan,
            methods=("decode", "decode_step", "source_keys_values"),
        )
        self.decoder = decoder(**block, cross=True, names=_DECODER)
        if self.pre_norm:
            self.encoder_norm = nn.LayerNorm(dtype=self.dtype)
            self.decoder_norm = nn.LayerNorm(dtype=self.dtype)

    def __call__(
        self, source: jax.Array, target: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Logits of every target token given those before it.

        Args:
          source: `[B, S]` tokens, padded at the end with `pad_id`.
          target: `[B, T]` tokens to predict; shifted right in here.
          train: dropout on (needs a "dropout" key).

        Returns:
          logits `[B, T, V]` in float32, and intermediates: "memory" `[B, S, D]` and the weights
          "encoder_attention" `[L, B, H, S, S]`, "decoder_attention" `[L, B, H, T, T]`,
          "cross_attention" `[L, B, H, T, S]`.
        """
        memory, encoder_attention = self.encode(source, train=train)
        shifted = jnp.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=self.bos_id)
        x = self.target_positions(self._embed(shifted))
        x = self.drop(x, deterministic=not train)
        # At the end of a target the causal mask alone keeps padding from real tokens; it is masked
        # all the same, for targets that are padded elsewhere.
        visible = jnp.pad(target[:, :-1] != self.pad_id, ((0, 0), (1, 0)), constant_values=True)
        self_mask = causal_mask(target.shape[1]) & padding_mask(visible)
        shared = (memory, self_mask, padding_mask(source != self.pad_id), train)
        x, weights = self.decoder.decode(x, None, shared)
        return self._logits(x), {
            "memory": memory,
            "encoder_attention": encoder_attention,
            "decoder_attention": weights.own,
            "cross_attention": weights.cross,
        }

    def encode(self, source: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Encoded source `[B, S, D]` and attention weights `[L, B, H, S, S]`."""
        x = self.source_positions(self._embed(source))
        x = self.drop(x, deterministic=not train)
        x, weights = self.encoder.encode(x, padding_mask(source != self.pad_id), train)
        return (self.encoder_norm(x) if self.pre_norm else x), weights

    def start(self, source: jax.Array, max_length: int) -> DecoderState:
        """State before the first target token, with room for `max_length` of them."""
        memory, _ = self.encode(source, train=False)
        _, source_kv = self.decoder.source_keys_values(memory, None, None)
        caches = [
            empty_cache(source.shape[0], max_length, self.num_heads, self.head_dim, memory.dtype)
        ] * self.layers
        # Rows first, layers second: what `decoding` reorders and repeats is the first axis.
        rows_first = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), source_kv)
        cache = jax.tree.map(lambda *x: jnp.stack(x, 1), *caches)
        return DecoderState((cache, jnp.zeros((), jnp.int32)), (rows_first, source != self.pad_id))

    def step(self, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        """Feeds `token [R]`, and returns the logits `[R, V]` of the one after it."""
        (cache, index), (source_kv, valid) = state
        length = cache.keys.shape[2]
        x = self.target_positions(self._embed(token[:, None]), index, length)
        shared = (index, padding_mask(valid))
        layers_first = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (cache, source_kv))
        x, cache = self.decoder.decode_step(x, layers_first, shared)
        cache = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), cache)
        return DecoderState((cache, index + 1), state.context), self._logits(x)[:, 0]

    def _embed(self, tokens: jax.Array) -> jax.Array:
        x = jnp.take(self.table, tokens, axis=0) * self.dim**0.5
        return x if self.dtype is None else x.astype(self.dtype)

    def _logits(self, x: jax.Array) -> jax.Array:
        if self.pre_norm:
            x = self.decoder_norm(x)
        table = self.table.astype(x.dtype)
        return jnp.einsum("btd,vd->btv", x, table, preferred_element_type=jnp.float32)
