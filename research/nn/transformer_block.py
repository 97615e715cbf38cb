"""The block of every Transformer: attention, then a two-layer network per position.

Encoders and decoders (Vaswani et al. 2017), GPT, BERT and their like differ in the order of norms,
the activation, where dropout falls, what a position sees and how kernels start. All are arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer

from research.core.partition import BATCH, constrain
from research.nn.attention import (
    KeysValues,
    MultiHeadAttention,
    attention_weights,
    cache_mask,
    extend_cache,
)
from research.nn.banded_attention import band_mask, causal_attention

Attend = Callable[[jax.Array, KeysValues], tuple[jax.Array, Any]]


class Names(NamedTuple):
    """Names of a block's parts, which are those of its parameters in a checkpoint.

    Attributes:
      attention: of self-attention; "" puts its projections beside the block's own layers.
      attention_norm: of its norm.
      cross_attention, cross_norm: of attention to a memory.
      expand, contract: of the two-layer network.
      feed_forward_norm: of its norm.
    """

    attention: str = "attention"
    attention_norm: str = "attention_norm"
    cross_attention: str = "cross_attention"
    cross_norm: str = "cross_norm"
    expand: str = "expand"
    contract: str = "contract"
    feed_forward_norm: str = "feed_forward_norm"


class Memory(NamedTuple):
    """What cross-attention looks at: keys and values, and a mask for `[B, H, T, S]`."""

    keys_values: KeysValues
    mask: jax.Array


class Weights(NamedTuple):
    """Attention weights of a block: own `[B, H, T, T]`, and cross `[B, H, T, S]` or None."""

    own: jax.Array
    cross: jax.Array | None


class TransformerBlock(nn.Module):
    """Self-attention, attention to a memory if `cross`, then two dense layers; each of the three is
    a sublayer f: x + drop(f(norm(x))) with `pre_norm`, norm(x + drop(f(x))) without.

    Attributes:
      dim, num_heads, head_dim, hidden: widths.
      pre_norm: the order of norms.
      causal: a position sees none after it; what `mask` says comes on top.
      window: of those it sees the last so many, itself included; 0 for all. Causal blocks alone.
      cross: whether there is attention to a memory.
      fused: one projection for queries, keys and values of self-attention (`MultiHeadAttention`).
      attention_bias: biases in the projections of attention.
      activation: of the two-layer network; `nn.gelu` is the tanh form, as in GPT.
      dropout: of what each sublayer adds.
      attention_dropout: of attention weights.
      hidden_dropout: after the activation.
      norm: class of the norms, called with `epsilon` and `dtype`.
      epsilon: of the norms.
      kernel_init: how kernels start.
      residual_init: how those start that project into the residual stream; None for the like.
      names: of the parts.
      dtype: compute dtype; parameters and softmax are float32.
    """

    dim: int
    num_heads: int
    head_dim: int
    hidden: int
    pre_norm: bool = True
    causal: bool = False
    window: int = 0
    cross: bool = False
    fused: bool = False
    attention_bias: bool = True
    activation: Callable[[jax.Array], jax.Array] = nn.gelu
    dropout: float = 0.0
    attention_dropout: float = 0.0
    hidden_dropout: float = 0.0
    norm: Callable[..., nn.Module] = nn.LayerNorm
    epsilon: float = 1e-6
    kernel_init: Initializer = nn.initializers.glorot_uniform()
    residual_init: Initializer | None = None
    names: Names = Names()
    dtype: jnp.dtype | None = None

    def setup(self) -> None:
        if self.window and not self.causal:
            raise ValueError("a window is for causal blocks")
        names, residual_init = self.names, self.residual_init or self.kernel_init
        self._attention = self._add_attention(names.attention, fused=self.fused)
        self._attention_norm = self._add(names.attention_norm, self._make_norm())
        if self.cross:
            self._cross_attention = self._add_attention(names.cross_attention, fused=False)
            self._cross_norm = self._add(names.cross_norm, self._make_norm())
        self._feed_forward_norm = self._add(names.feed_forward_norm, self._make_norm())
        self._expand = self._add(
            names.expand, nn.Dense(self.hidden, dtype=self.dtype, kernel_init=self.kernel_init)
        )
        self._contract = self._add(
            names.contract, nn.Dense(self.dim, dtype=self.dtype, kernel_init=residual_init)
        )
        self.drop = nn.Dropout(self.dropout)
        self.drop_hidden = nn.Dropout(self.hidden_dropout)

    def _add(self, name: str, module: nn.Module) -> Any:
        """A part under a name of the caller's choice."""
        setattr(self, name, module)
        return getattr(self, name)

    def _add_attention(self, name: str, fused: bool) -> MultiHeadAttention:
        attention = MultiHeadAttention(
            self.num_heads,
            self.head_dim,
            self.dim,
            use_bias=self.attention_bias,
            dtype=self.dtype,
            fused=fused,
            dropout=self.attention_dropout,
            kernel_init=self.kernel_init,
            out_init=self.residual_init,
        )
        if name:
            return self._add(name, attention)
        self._own_attention = attention
        nn.share_scope(self, self._own_attention)
        return self._own_attention

    def _make_norm(self) -> nn.Module:
        return self.norm(epsilon=self.epsilon, dtype=self.dtype)

    def __call__(
        self,
        x: jax.Array,
        train: bool,
        mask: jax.Array | None = None,
        memory: Memory | None = None,
        return_weights: bool = False,
    ) -> tuple[jax.Array, Weights | None]:
        """A whole sequence.

        Args:
          x: `[B, T, D]`.
          train: dropout on (needs a "dropout" key).
          mask: True where a query may look, for `[B, H, T, T]`; None for wherever `causal` lets it.
          memory: for cross-attention.
          return_weights: work out attention weights as well.

        Returns:
          `[B, T, D]`, and the weights, or None.
        """

        def attend(query: jax.Array, new: KeysValues) -> tuple[jax.Array, jax.Array | None]:
            if self.causal and mask is None and not (train and self.attention_dropout):
                mixed = causal_attention(query, *new, window=self.window)
            else:
                mixed = self._attention.attend(query, new, self._own_mask(x.shape[1], mask), train)
            if not return_weights:
                return mixed, None
            seen = self._own_mask(x.shape[1], mask)
            return mixed, attention_weights(query, new.keys, seen)

        x, own, cross = self._run(x, attend, memory, train, return_weights)
        return x, Weights(own, cross) if return_weights else None

    def prefill(
        self, x: jax.Array, mask: jax.Array | None = None, memory: Memory | None = None
    ) -> tuple[jax.Array, KeysValues]:
        """`__call__` without dropout; also returns keys and values, to begin a cache with."""

        def attend(query: jax.Array, new: KeysValues) -> tuple[jax.Array, KeysValues]:
            return self._attention.attend(query, new, self._own_mask(x.shape[1], mask)), new

        return self._run(x, attend, memory)[:2]

    def step(
        self,
        x: jax.Array,
        cache: KeysValues,
        index: jax.Array,
        mask: jax.Array | None = None,
        memory: Memory | None = None,
    ) -> tuple[jax.Array, KeysValues]:
        """One position of a causal sequence, given those before it in a cache.

        Args:
          x: `[B, 1, D]`.
          cache: of S entries, filled up to `index`.
          index: the position.
          mask: which entries may be looked at, for `[B, H, 1, S]`; None for all that are filled.
          memory: for cross-attention.

        Returns:
          `[B, 1, D]`, and the cache with this position's entry.
        """
        length = cache.keys.shape[1]
        visible = cache_mask(length, index)
        if mask is not None:
            visible &= mask
        if self.window:
            visible &= (jnp.arange(length) > index - self.window)[None, None, None]

        def attend(query: jax.Array, new: KeysValues) -> tuple[jax.Array, KeysValues]:
            longer = extend_cache(cache, new, index)
            return self._attention.attend(query, longer, visible), longer

        return self._run(x, attend, memory)[:2]

    def memory_keys_values(self, memory: jax.Array) -> KeysValues:
        """Keys and values of a memory `[B, S, D]`: computed once, used by every step."""
        return self._cross_attention.keys_values(memory)

    def _own_mask(self, length: int, mask: jax.Array | None) -> jax.Array:
        if not self.causal:
            return jnp.ones((1, 1, length, length), bool) if mask is None else mask
        band = band_mask(length, self.window)
        return band if mask is None else band & mask

    def _run(
        self,
        x: jax.Array,
        attend: Attend,
        memory: Memory | None,
        train: bool = False,
        return_weights: bool = False,
    ) -> tuple[jax.Array, Any, jax.Array | None]:
        """All sublayers; `attend(query, new keys and values)` mixes values and keeps something."""
        x = constrain(x, BATCH, "model", None)
        query, new = self._attention.project(self._enter(x, self._attention_norm))
        mixed, kept = attend(query, new)
        x = self._leave(x, self._attention.merge(mixed), self._attention_norm, train)

        cross_weights = None
        if memory is not None:
            attention, (source, mask) = self._cross_attention, memory
            query = attention.queries(self._enter(x, self._cross_norm))
            mixed = attention.attend(query, source, mask, train)
            x = self._leave(x, attention.merge(mixed), self._cross_norm, train)
            if return_weights:
                cross_weights = attention_weights(query, source.keys, mask)

        y = self._enter(x, self._feed_forward_norm)
        y = self.activation(constrain(self._expand(y), BATCH, None, "model"))
        y = self._contract(self.drop_hidden(y, deterministic=not train))
        return self._leave(x, y, self._feed_forward_norm, train), kept, cross_weights

    def _enter(self, x: jax.Array, norm: nn.Module) -> jax.Array:
        return norm(x) if self.pre_norm else x

    def _leave(self, x: jax.Array, y: jax.Array, norm: nn.Module, train: bool) -> jax.Array:
        x = x + self.drop(constrain(y, BATCH, "model", None), deterministic=not train)
        return x if self.pre_norm else norm(x)
