"""GPT-1 (Radford et al. 2018), GPT-2 (Radford et al. 2019), GPT-3 (Brown et al. 2020, 2005.14165).

One decoder. GPT-1 normalises after each residual sum; GPT-2 normalises the input of each sublayer
and the last output, and starts the projections into the residual stream smaller by the root of
their number; GPT-3 makes every second layer a locally banded one.

The GPT-3 paper's table 2.1 contradicts itself in two rows, where heads times head size is not the
width: XL (24 x 128, width 2048) and 13B (40 x 128, width 5140). Here XL has 16 heads and 13B is
5120 wide; `head_dim` may be set apart from the width for whoever reads the rows otherwise.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from research.core.errors import UserError
from research.core.partition import BATCH, constrain
from research.nn.attention import KeysValues, empty_cache, padding_mask
from research.nn.decoder_state import DecoderState
from research.nn.transformer_block import Names, TransformerBlock

# Exact counts of these, biases and the tied table included; the papers print rounded ones.
PARAMETERS = {
    "gpt1": 116_534_784,
    "gpt2": 124_439_808,
    "gpt2_medium": 354_823_168,
    "gpt2_large": 774_030_080,
    "gpt2_xl": 1_557_611_200,
    "gpt3_small": 125_226_240,
    "gpt3_medium": 355_871_744,
    "gpt3_large": 760_300_032,
    "gpt3_xl": 1_315_723_264,
    "gpt3_2.7b": 2_651_553_280,
    "gpt3_6.7b": 6_658_404_352,
    "gpt3_13b": 12_853_386_240,
    "gpt3_175b": 174_604_259_328,
}

# Layout of the parameters. The first axis of what lies in a block counts the layers. Vocabularies
# are no round numbers, so it is the width of the tables that is split.
RULES = (
    (r"embedding$", P(None, ("model", "fsdp"))),
    (r"qkv/kernel$", P(None, "fsdp", None, "model", None)),
    (r"qkv/bias$", P(None, None, "model", None)),
    (r"out/kernel$", P(None, "model", None, "fsdp")),
    (r"expand/kernel$", P(None, "fsdp", "model")),
    (r"expand/bias$", P(None, "model")),
    (r"contract/kernel$", P(None, "model", "fsdp")),
)

_EPSILON = 1e-5  # of norms
_UNROLLED = 4  # so few repetitions are no loop: on a CPU that costs more than compiling each

# What the backward pass finds instead of working it out again, beside the inputs of each block.
REMAT: dict[str, Any] = {
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "block": jax.checkpoint_policies.nothing_saveable,
}


def decayed(params: Any) -> Any:
    """Mask of what weight decay is for, kernels and embeddings: not biases, nor gains of norms."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key.endswith(("kernel", "embedding")), params
    )


# The published models' layout: one projection for queries, keys and values, beside the rest.
_NAMES = Names(attention="", feed_forward_norm="mlp_norm")


class _Group(nn.Module):
    """The blocks that repeat: one, or a dense one and a banded one. What the scan runs over."""

    block: dict[str, Any]
    windows: tuple[int, ...]
    remat: str

    def setup(self) -> None:
        kind = TransformerBlock
        if self.remat:
            kind = nn.remat(kind, policy=REMAT[self.remat], static_argnums=(2,), prevent_cse=False)
        self.blocks = [kind(**self.block, window=window) for window in self.windows]

    def __call__(self, x: jax.Array, per_group: None, train: bool) -> tuple[jax.Array, None]:
        for block in self.blocks:
            x, _ = block(x, train)
        return x, None

    def prefill(
        self, x: jax.Array, per_group: None, valid: jax.Array
    ) -> tuple[jax.Array, list[KeysValues]]:
        """A padded prompt `[R, P, D]` with `valid [R, P]`; also returns its keys and values."""
        kept = []
        for block in self.blocks:
            x, new = block.prefill(x, padding_mask(valid))
            kept.append(new)
        return x, kept

    def step(
        self, x: jax.Array, per_group: list[KeysValues], shared: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, list[KeysValues]]:
        """One position `[R, 1, D]` at an index, rows beginning at `start [R]`."""
        index, start = shared
        kept = []
        for block, cache in zip(self.blocks, per_group, strict=True):
            begun = jnp.arange(cache.keys.shape[1]) >= start[:, None]
            x, longer = block.step(x, cache, index, padding_mask(begun))
            kept.append(longer)
        return x, kept


class GPT(nn.Module):
    """A decoder; its token embedding is its output layer too.

    Parameters of all layers lie in arrays `[layers / period, ...]`, scanned over where there are
    more than a few, and the period is 2 with banded layers and 1 without.

    Attributes:
      vocab_size: V.
      layers, dim, num_heads, head_dim, hidden: depth and widths.
      max_length: rows of the position table.
      dropout, attention_dropout: of embeddings and sublayers, of attention weights.
      pre_norm: GPT-2's order of norms, with one at the end.
      scale_residual: start the 2 * layers projections into the residual stream smaller by the root
        of their number (GPT-2, section 2.3).
      init_std, position_std: standard deviation of kernels and of the position table at the start.
        The papers' 0.02 goes with widths near 768; a narrow network that starts with it needs long
        until its attention looks anywhere in particular.
      window: positions seen by every second layer; 0 for dense layers alone.
      remat: "" keeps all activations for the backward pass, "dots" the matrix products, "block"
        the input of each block.
      dtype: compute dtype; parameters, softmax and logits are float32.
    """

    vocab_size: int
    layers: int
    dim: int
    num_heads: int
    head_dim: int
    hidden: int
    max_length: int
    dropout: float = 0.0
    attention_dropout: float = 0.0
    pre_norm: bool = True
    scale_residual: bool = True
    init_std: float = 0.02
    position_std: float = 0.01
    window: int = 0
    remat: str = ""
    dtype: jnp.dtype | None = None

    @property
    def _period(self) -> int:
        return 2 if self.window else 1

    def setup(self) -> None:
        windows = (0, self.window)[: self._period]
        if self.layers % self._period:
            raise UserError(f"{self.layers} layers cannot alternate dense and banded")
        self.table = self.param(
            "embedding", nn.initializers.normal(self.init_std), (self.vocab_size, self.dim)
        )
        self.positions = self.param(
            "position_embedding",
            nn.initializers.normal(self.position_std),
            (self.max_length, self.dim),
        )
        self.drop = nn.Dropout(self.dropout)
        shrink = (2 * self.layers) ** -0.5 if self.pre_norm and self.scale_residual else 1.0
        block = dict(
            dim=self.dim,
            num_heads=self.num_heads,
            head_dim=self.head_dim,
            hidden=self.hidden,
            pre_norm=self.pre_norm,
            causal=True,
            fused=True,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            epsilon=_EPSILON,
            kernel_init=nn.initializers.normal(self.init_std),
            residual_init=nn.initializers.normal(self.init_std * shrink),
            names=_NAMES,
            dtype=self.dtype,
        )
        groups = self.layers // self._period
        self.groups = nn.scan(
            _Group,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(0, nn.broadcast),
            length=groups,
            unroll=groups if groups <= _UNROLLED else 1,
            methods=("__call__", "prefill", "step"),
        )(block, windows, self.remat)
        if self.pre_norm:
            self.norm = nn.LayerNorm(epsilon=_EPSILON, dtype=self.dtype)

    def __call__(self, tokens: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits of the token after each.

        Args:
          tokens: `[B, T]`.
          train: dropout on (needs a "dropout" key).

        Returns:
          logits `[B, T, V]` in float32, and intermediates `[B, T, D]`: "embedded", the residual
          stream before the first block, "residual", after the last, and "hidden", what logits are
          made of.
        """
        hidden, seen = self.encode(tokens, train=train)
        return self._logits(hidden), seen

    def encode(self, tokens: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The last hidden state `[B, T, D]` and the intermediates, without logits.

        Raises:
          UserError: there are more tokens than positions, which would be embedded as the last one.
        """
        if tokens.shape[1] > self.max_length:
            raise UserError(
                f"rows of {tokens.shape[1]} tokens do not fit model.max_length={self.max_length}"
            )
        embedded = self._embed(tokens, jnp.arange(tokens.shape[1]))
        x, _ = self.groups(self.drop(embedded, deterministic=not train), None, train)
        hidden = self.norm(x) if self.pre_norm else x
        return hidden, {"embedded": embedded, "residual": x, "hidden": hidden}

    def start(self, prompt: jax.Array, lengths: jax.Array, max_length: int) -> DecoderState:
        """State after all but the last token of every prompt, which is the first to feed to `step`.

        Args:
          prompt: `[R, P]` tokens, shorter prompts padded on the left.
          lengths: `[R]`, their lengths, at least 1.
          max_length: room for prompt and continuation; at most the model's own `max_length`.

        Raises:
          UserError: no room.
        """
        if not prompt.shape[1] <= max_length <= self.max_length:
            raise UserError(
                f"a prompt of {prompt.shape[1]} and room for {max_length} tokens do not fit a "
                f"context of {self.max_length}"
            )
        rows, filled = prompt.shape[0], prompt.shape[1] - 1
        start = prompt.shape[1] - lengths
        dtype = self.dtype or self.table.dtype
        blank = empty_cache(rows, max_length, self.num_heads, self.head_dim, dtype)
        groups = self.layers // self._period
        stacked = jax.tree.map(lambda x: jnp.stack([x] * groups, 1), blank)
        cache = [stacked] * self._period
        if filled:
            position = jnp.arange(filled)
            x = self._embed(prompt[:, :-1], jnp.maximum(position - start[:, None], 0))
            _, kept = self.groups.prefill(x, None, position >= start[:, None])
            cache = jax.tree.map(
                lambda c, new: c.at[:, :, :filled].set(jnp.moveaxis(new, 0, 1)), cache, kept
            )
        return DecoderState((cache, jnp.int32(filled)), start)

    def step(self, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        """Feeds `token [R]`, and returns the logits `[R, V]` of the one after it."""
        (cache, index), start = state
        x = self._embed(token[:, None], (index - start)[:, None])
        cache = jax.tree.map(lambda c: jnp.moveaxis(c, 1, 0), cache)
        x, cache = self.groups.step(x, cache, (index, start))
        cache = jax.tree.map(lambda c: jnp.moveaxis(c, 0, 1), cache)
        hidden = self.norm(x) if self.pre_norm else x
        return DecoderState((cache, index + 1), start), self._logits(hidden)[:, 0]

    def _embed(self, tokens: jax.Array, positions: jax.Array) -> jax.Array:
        tables = [self.table, self.positions]
        if self.dtype is not None:
            tables = [table.astype(self.dtype) for table in tables]
        # Rows are picked from a table that is split as they will be, or all of them end up on each
        # device on the way.
        words, places = (constrain(table, None, "model") for table in tables)
        x = jnp.take(words, tokens, axis=0) + jnp.take(places, positions, axis=0)
        return constrain(x, BATCH, None, "model")

    def _logits(self, hidden: jax.Array) -> jax.Array:
        table = self.table.astype(hidden.dtype)
        return jnp.einsum("btd,vd->btv", hidden, table, preferred_element_type=jnp.float32)
