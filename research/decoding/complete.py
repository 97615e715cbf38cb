"""Continuations of prompts of different lengths, by any model with a key-value cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from research.core.map_batches import map_batches
from research.data.dataset import Rows
from research.decoding.beam import beam_search
from research.decoding.sampling import sample
from research.nn.decoder_state import DecoderState


def left_padded(prompts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Prompts `[R, P]`, shorter ones filled up in front, and their lengths `[R]`."""
    lengths = np.array([len(prompt) for prompt in prompts], np.int32)
    padded = np.zeros((len(prompts), lengths.max()), np.int32)
    for row, prompt in zip(padded, prompts, strict=True):
        row[len(row) - len(prompt) :] = prompt
    return padded, lengths


def complete(
    model: nn.Module,
    params: Any,
    prompts: Sequence[np.ndarray],
    seed: int,
    *,
    new_tokens: int,
    end: int,
    beam: int = 0,
    alpha: float = 0.6,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> list[np.ndarray]:
    """Continues each prompt, up to and with the token `end` where it comes.

    Args:
      model: has the methods `start(prompt [R, P], lengths [R], max_length) -> DecoderState`, after
        all but each prompt's last token, and `step(state, token [R]) -> (state, logits [R, V])`.
      params: its parameters.
      prompts: token ids, one or more each.
      seed: of the samples; those of a prompt do not depend on the other prompts' contents.
      new_tokens: tokens that a continuation has at most.
      end: token that ends one.
      beam: 0 samples; otherwise the number of hypotheses of a beam search (GPT-3 answers free-form
        questions with 4, and a length penalty `alpha` of 0.6).
      temperature, top_k, top_p: see `sampling.truncate`.
    """
    padded, lengths = left_padded(prompts)

    def apply(params: Any, *inputs: Any, method: str) -> Any:
        return model.apply({"params": params}, *inputs, method=method)

    def step(params: Any, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        return apply(params, state, token, method="step")

    @jax.jit
    def run(params: Any, batch: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        prompt = batch["prompt"]
        room = prompt.shape[1] + new_tokens
        state = apply(params, prompt, batch["length"], room, method="start")
        first = prompt[:, -1]
        if beam:
            found = beam_search(
                step,
                params,
                state,
                first,
                beam=beam,
                eos_id=end,
                max_length=new_tokens,
                alpha=alpha,
            )
            return found.tokens[:, 0], found.lengths[:, 0]
        drawn = sample(
            step,
            params,
            state,
            first,
            jax.random.key(seed),
            eos_id=end,
            max_length=new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            rows=batch["number"],
        )
        return drawn.tokens, drawn.lengths

    number = np.arange(len(prompts), dtype=np.int32)
    rows = Rows({"prompt": padded, "length": lengths, "number": number})
    found = map_batches(run, params, rows, len(prompts))
    return [row[:count] for row, count in zip(*found, strict=True)]
