"""Beam search over a whole corpus with any encoder-decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from research.data.text.pairs import BOS, EOS, PAD, map_pairs
from research.decoding.beam import beam_search
from research.nn.decoder_state import DecoderState


def translate(
    model: nn.Module,
    params: Any,
    sources: Sequence[np.ndarray],
    lengths: Sequence[int],
    *,
    beam: int,
    alpha: float,
    extra_length: int,
    tokens_per_batch: int,
) -> list[np.ndarray]:
    """Best hypothesis for every source, as token ids up to and with `EOS`.

    Args:
      model: has the methods `start(source [B, S], max_length) -> DecoderState` and
        `step(state, token [R]) -> (state, logits [R, V])`.
      params: its parameters.
      sources: token ids of every sentence.
      lengths: of the buckets: one program is compiled for each that is needed.
      beam: hypotheses of a sentence.
      alpha: exponent of the length penalty.
      extra_length: a hypothesis has at most this many tokens more than its source, with `EOS`.
      tokens_per_batch: source tokens decoded at a time, padding included.
    """

    def apply(params: Any, *inputs: Any, method: str) -> Any:
        return model.apply({"params": params}, *inputs, method=method)

    def step(params: Any, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        return apply(params, state, token, method="step")

    @jax.jit
    def search(params: Any, batch: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        source = batch["source"]
        max_length = source.shape[1] + extra_length
        state = apply(params, source, max_length, method="start")
        found = beam_search(
            step,
            params,
            state,
            jnp.full(len(source), BOS),
            beam=beam,
            eos_id=EOS,
            max_length=max_length,
            alpha=alpha,
            pad_id=PAD,
            limits=jnp.sum(source != PAD, axis=1) + extra_length,
        )
        return found.tokens[:, 0], found.lengths[:, 0]

    alone = [(source, source) for source in sources]
    found = map_pairs(search, params, alone, lengths, tokens_per_batch)
    return [tokens[:length] for tokens, length in found]
