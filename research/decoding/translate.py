"""Beam search over a whole corpus with any encoder-decoder, or with several that vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from research.data.text.pairs import BOS, EOS, PAD, map_pairs
from research.decoding.beam import NEVER, beam_search
from research.decoding.sampling import Step
from research.nn.decoder_state import DecoderState


class Decoder(NamedTuple):
    """How an encoder-decoder is run from left to right.

    Attributes:
      start: `(params, source [B, S], max_length) -> DecoderState`, with room for that many tokens.
      step: `(params, state, token [R]) -> (state, logits [R, V])`.
    """

    start: Callable[[Any, jax.Array, int], DecoderState]
    step: Step


def decoder_of(model: nn.Module) -> Decoder:
    """The decoder of a model with methods `start(source, max_length)` and `step(state, token)`."""

    def apply(params: Any, *inputs: Any, method: str) -> Any:
        return model.apply({"params": params}, *inputs, method=method)

    def start(params: Any, source: jax.Array, max_length: int) -> DecoderState:
        return apply(params, source, max_length, method="start")

    def step(params: Any, state: DecoderState, token: jax.Array) -> tuple[DecoderState, jax.Array]:
        return apply(params, state, token, method="step")

    return Decoder(start, step)


def ensemble(decoder: Decoder) -> Decoder:
    """Several sets of parameters that vote: the mean of their log probabilities at every step.

    (Sutskever et al. 2014, section 3.4.) `params` becomes a sequence of parameters.
    """

    def start(params: Sequence[Any], source: jax.Array, max_length: int) -> DecoderState:
        states = [decoder.start(own, source, max_length) for own in params]
        return DecoderState(tuple(s.carry for s in states), tuple(s.context for s in states))

    def step(
        params: Sequence[Any], state: DecoderState, token: jax.Array
    ) -> tuple[DecoderState, jax.Array]:
        parts = zip(params, state.carry, state.context, strict=True)
        found = [decoder.step(own, DecoderState(*part), token) for own, *part in parts]
        carry = tuple(new.carry for new, _ in found)
        log_probs = [jax.nn.log_softmax(logits.astype(jnp.float32)) for _, logits in found]
        return DecoderState(carry, state.context), jnp.mean(jnp.stack(log_probs), axis=0)

    return Decoder(start, step)


def without(decoder: Decoder, token: int) -> Decoder:
    """A decoder that never writes a token, such as the one for unknown words."""

    def step(params: Any, state: DecoderState, fed: jax.Array) -> tuple[DecoderState, jax.Array]:
        state, logits = decoder.step(params, state, fed)
        return state, logits.at[:, token].set(-jnp.inf)

    return Decoder(decoder.start, step)


class Translations(NamedTuple):
    """The hypotheses of one source, best first.

    Attributes:
      tokens: of each, up to and with `EOS`.
      scores: of each, log probability over the length penalty.
    """

    tokens: list[np.ndarray]
    scores: np.ndarray


def n_best(
    decoder: Decoder,
    params: Any,
    sources: Sequence[np.ndarray],
    lengths: Sequence[int],
    *,
    beam: int,
    alpha: float,
    extra_length: int,
    tokens_per_batch: int,
    count: int = 1,
) -> list[Translations]:
    """The best hypotheses for every source.

    Args:
      decoder: of a model, or of several.
      params: its parameters.
      sources: token ids of every sentence.
      lengths: of the buckets: one program is compiled for each that is needed.
      beam: hypotheses of a sentence that live at a time.
      alpha: exponent of the length penalty.
      extra_length: a hypothesis has at most this many tokens more than its source, with `EOS`.
      tokens_per_batch: source tokens decoded at a time, padding included.
      count: hypotheses to return, at most `beam`; fewer where fewer exist.
    """

    @jax.jit
    def search(params: Any, batch: dict[str, jax.Array]) -> Any:
        source = batch["source"]
        max_length = source.shape[1] + extra_length
        return beam_search(
            decoder.step,
            params,
            decoder.start(params, source, max_length),
            jnp.full(len(source), BOS),
            beam=beam,
            eos_id=EOS,
            max_length=max_length,
            alpha=alpha,
            n_best=count,
            pad_id=PAD,
            limits=jnp.sum(source != PAD, axis=1) + extra_length,
        )

    alone = [(source, source) for source in sources]
    found = map_pairs(search, params, alone, lengths, tokens_per_batch)
    translations = []
    for tokens, scores, sizes in found:
        exist = scores > NEVER / 2
        cut = [row[:size] for row, size in zip(tokens[exist], sizes[exist], strict=True)]
        translations.append(Translations(cut, scores[exist]))
    return translations


def translate(
    decoder: Decoder, params: Any, sources: Sequence[np.ndarray], *args: Any, **setting: Any
) -> list[np.ndarray]:
    """The best hypothesis for every source, as token ids; arguments as for `n_best`."""
    found = n_best(decoder, params, sources, *args, **setting)
    return [hypotheses.tokens[0] for hypotheses in found]


def rescored(hypotheses: Translations, scores: np.ndarray) -> np.ndarray:
    """The hypothesis with the best mean of its own score and another system's, equally weighted.

    (Sutskever et al. 2014, section 3.3.)
    """
    return hypotheses.tokens[int(np.argmax((hypotheses.scores + scores) / 2))]
