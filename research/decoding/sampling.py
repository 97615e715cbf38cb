"""Left to right, one token per row at a time: greedy, temperature, top-k, nucleus.

Every function here and in `beam` takes the same step function, shared by all sequence models:
`step(params, state, token [R]) -> (state, logits [R, V])` with `state` a `DecoderState`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.core.errors import UserError
from research.nn.decoder_state import DecoderState

Step = Callable[[Any, DecoderState, jax.Array], tuple[DecoderState, jax.Array]]
Choose = Callable[[jax.Array, jax.Array], jax.Array]


class Sequences(NamedTuple):
    """Decoded tokens.

    Attributes:
      tokens: `[R, T]`, without the first token fed, with the end token where it came, then padding.
      log_probs: `[R]`, sum over the tokens up to and with the end token, under the model itself
        (before temperature or truncation).
      lengths: `[R]`, number of tokens up to and with the end token.
    """

    tokens: jax.Array
    log_probs: jax.Array
    lengths: jax.Array


def generate(
    step: Step,
    params: Any,
    state: DecoderState,
    first: jax.Array,
    choose: Choose,
    key: jax.Array,
    *,
    eos_id: int,
    max_length: int,
    pad_id: int = 0,
) -> Sequences:
    """Feeds `first [R]`, then its own choices, until all rows ended or have `max_length` tokens.

    `choose(logits [R, V], key) -> token [R]`. Shapes are fixed; the loop stops early.
    """
    rows = first.shape[0]

    def unfinished(carry: tuple) -> jax.Array:
        t, *_, ended, _, _ = carry
        return (t < max_length) & ~jnp.all(ended)

    def body(carry: tuple) -> tuple:
        t, state, token, tokens, ended, log_probs, lengths = carry
        state, logits = step(params, state, token)
        token = choose(logits, jax.random.fold_in(key, t)).astype(jnp.int32)
        picked = jnp.take_along_axis(
            jax.nn.log_softmax(logits.astype(jnp.float32)), token[:, None], axis=1
        )[:, 0]
        log_probs = jnp.where(ended, log_probs, log_probs + picked)
        lengths = lengths + ~ended
        tokens = tokens.at[:, t].set(jnp.where(ended, pad_id, token))
        ended = ended | (token == eos_id)
        return t + 1, state, token, tokens, ended, log_probs, lengths

    start = (
        jnp.zeros((), jnp.int32),
        state,
        first.astype(jnp.int32),
        jnp.full((rows, max_length), pad_id, jnp.int32),
        jnp.zeros(rows, bool),
        jnp.zeros(rows, jnp.float32),
        jnp.zeros(rows, jnp.int32),
    )
    _, _, _, tokens, _, log_probs, lengths = jax.lax.while_loop(unfinished, body, start)
    return Sequences(tokens, log_probs, lengths)


def greedy(
    step: Step,
    params: Any,
    state: DecoderState,
    first: jax.Array,
    *,
    eos_id: int,
    max_length: int,
    pad_id: int = 0,
) -> Sequences:
    """Takes the most probable token at every step."""
    return generate(
        step,
        params,
        state,
        first,
        lambda logits, key: jnp.argmax(logits, axis=-1),
        jax.random.key(0),
        eos_id=eos_id,
        max_length=max_length,
        pad_id=pad_id,
    )


def sample(
    step: Step,
    params: Any,
    state: DecoderState,
    first: jax.Array,
    key: jax.Array,
    *,
    eos_id: int,
    max_length: int,
    pad_id: int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    rows: jax.Array | None = None,
) -> Sequences:
    """Draws every token from the distribution that `truncate` leaves; greedy at temperature 0.

    Args:
      step, params, state, first, eos_id, max_length, pad_id: see `generate`.
      key: of all draws.
      temperature, top_k, top_p: see `truncate`.
      rows: `[R]` integers, a number of each row's own. What a row draws then depends on the key and
        its number alone, not on the rows it is decoded with.

    Raises:
      UserError: see `check_sampling`.
    """
    check_sampling(temperature, top_k, top_p)

    def choose(logits: jax.Array, key: jax.Array) -> jax.Array:
        if not temperature:
            return jnp.argmax(logits, axis=-1)
        logits = truncate(logits, temperature, top_k, top_p)
        if rows is None:
            return jax.random.categorical(key, logits)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
        return jax.vmap(jax.random.categorical)(keys, logits)

    return generate(
        step, params, state, first, choose, key, eos_id=eos_id, max_length=max_length, pad_id=pad_id
    )


def check_sampling(temperature: float, top_k: int, top_p: float) -> None:
    """Refuses settings of which no distribution can be made.

    Raises:
      UserError: a temperature below 0, a negative number of tokens, or no share of them.
    """
    if not 0 <= temperature < math.inf:
        raise UserError(f"a temperature is 0 (greedy) or above, not {temperature}")
    if top_k < 0:
        raise UserError(f"top_k is 0 (all tokens) or above, not {top_k}")
    if not 0 < top_p <= 1:
        raise UserError(f"top_p is above 0, and 1 (all tokens) at most, not {top_p}")


def truncate(
    logits: jax.Array, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> jax.Array:
    """Logits `[..., V]` divided by `temperature`, those of excluded tokens set to -inf.

    Args:
      logits: `[..., V]`.
      temperature: above 0.
      top_k: keep the k most probable tokens (Fan et al. 2018); 0, or as many as there are, for all.
      top_p: then keep the fewest most probable tokens whose probabilities sum to at least `top_p`
        (nucleus sampling, Holtzman et al. 2020); 1 for all.
    """
    logits = logits.astype(jnp.float32) / temperature
    if 0 < top_k < logits.shape[-1]:
        smallest = jax.lax.top_k(logits, top_k)[0][..., -1:]
        logits = jnp.where(logits < smallest, -jnp.inf, logits)
    if top_p < 1.0:
        ranked = jnp.sort(logits, axis=-1, descending=True)
        probs = jax.nn.softmax(ranked)
        before = jnp.cumsum(probs, axis=-1) - probs  # mass of all more probable tokens
        kept = jnp.where(before < top_p, ranked, jnp.inf)
        logits = jnp.where(logits < jnp.min(kept, axis=-1, keepdims=True), -jnp.inf, logits)
    return logits
