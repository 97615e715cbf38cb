"""Beam search in fixed shapes, batched and jittable."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.decoding.sampling import Step
from research.nn.decoder_state import DecoderState

NEVER = -1e9  # score of a hypothesis that does not exist; finite, so that sums and ratios are too


class Hypotheses(NamedTuple):
    """The N best hypotheses of every sentence, best first.

    Attributes:
      tokens: `[B, N, T]`, without the first token fed, with the end token, then padding.
      scores: `[B, N]`, log probability over `length_penalty`; `NEVER` where there is none.
      lengths: `[B, N]`, number of tokens up to and with the end token.
    """

    tokens: jax.Array
    scores: jax.Array
    lengths: jax.Array


class _Search(NamedTuple):
    """State of the loop.

    Attributes:
      t: tokens so far.
      carry: of the decoder, rows `[B * K]`.
      alive: `[B, K, T]`, tokens of the hypotheses that go on.
      alive_log_probs: `[B, K]`, theirs.
      finished: the K best hypotheses that have ended.
      done: `[B]`, sentences whose search is over.
    """

    t: jax.Array
    carry: Any
    alive: jax.Array
    alive_log_probs: jax.Array
    finished: Hypotheses
    done: jax.Array


def length_penalty(length: int | jax.Array, alpha: float) -> jax.Array:
    """((5 + length) / 6)^alpha (Wu et al. 2016, equation 14)."""
    return ((5.0 + length) / 6.0) ** alpha


def beam_search(
    step: Step,
    params: Any,
    state: DecoderState,
    first: jax.Array,
    *,
    beam: int,
    eos_id: int,
    max_length: int,
    alpha: float = 0.6,
    n_best: int = 1,
    pad_id: int = 0,
    limits: jax.Array | None = None,
) -> Hypotheses:
    """Searches for the sequences of highest length-normalised log probability.

    Of the K best continuations at every step, those that end are finished hypotheses, the others
    live on, and are fewer than K until the next step. (To stop at K finished ones instead ends too
    early where the model is sure of itself: what comes second to fourth then is noise.) A sentence
    is done once nothing lives, so that a beam of one is greedy decoding, or once its n-th best
    finished hypothesis beats whatever the best living one could still reach. Sentences of a batch
    do not influence each other. A sentence without any finished hypothesis at its limit gets its
    living ones.

    Args:
      step: `(params, state, token [R]) -> (state, logits [R, V])`.
      params: handed to `step`.
      state: of B rows, before `first`.
      first: `[B]`, the first token to feed.
      beam: K.
      eos_id: the token that ends a hypothesis.
      max_length: T, tokens that a hypothesis has at most, end token included.
      alpha: exponent of the length penalty; 0 compares plain log probabilities.
      n_best: N <= K, how many hypotheses to return.
      pad_id: fills the tokens up.
      limits: `[B]`, at most T each: the `max_length` of each sentence; None for T.
    """
    batch = first.shape[0]

    def repeat(x: jax.Array) -> jax.Array:
        return jnp.repeat(x, beam, axis=0) if x.ndim else x

    context = jax.tree.map(repeat, state.context)
    carry = jax.tree.map(repeat, state.carry)
    limit = jnp.full(batch, max_length) if limits is None else limits
    final_penalty = length_penalty(limit, alpha)[:, None]
    blank = jnp.full((batch, beam, max_length), pad_id, jnp.int32)
    # All K hypotheses start equal: only the first may be continued, or they would stay equal.
    start_log_probs = jnp.where(jnp.arange(beam) == 0, 0.0, NEVER) * jnp.ones((batch, 1))
    nothing = Hypotheses(blank, jnp.full((batch, beam), NEVER), jnp.zeros((batch, beam), jnp.int32))
    search = _Search(
        jnp.zeros((), jnp.int32), carry, blank, start_log_probs, nothing, jnp.zeros(batch, bool)
    )

    def unfinished(s: _Search) -> jax.Array:
        return (s.t < max_length) & ~jnp.all(s.done)

    def body(s: _Search) -> _Search:
        before = jax.lax.dynamic_index_in_dim(s.alive, jnp.maximum(s.t - 1, 0), 2, keepdims=False)
        token = jnp.where(s.t == 0, jnp.repeat(first, beam), before.reshape(-1))
        (carry, _), logits = step(params, DecoderState(s.carry, context), token)
        vocab = logits.shape[-1]
        log_probs = jax.nn.log_softmax(logits.astype(jnp.float32)).reshape(batch, beam, vocab)
        log_probs = log_probs + s.alive_log_probs[:, :, None]
        # In two stages: K short rankings are cheaper than one over K * V.
        width = min(beam, vocab)
        best, tokens = jax.lax.top_k(log_probs, width)
        best, flat = jax.lax.top_k(_flatten(best), beam)
        parents, tokens = flat // width, jnp.take_along_axis(_flatten(tokens), flat, axis=1)
        sequences = _pick(s.alive, parents).at[:, :, s.t].set(tokens)
        ends = (tokens == eos_id) & (best > NEVER / 2)

        ended_score = jnp.where(ends, best / length_penalty(s.t + 1, alpha), NEVER)
        candidates = Hypotheses(sequences, ended_score, jnp.full_like(parents, s.t + 1))
        finished = _best_of(s.finished, candidates, beam)
        finished = jax.tree.map(
            lambda new, old: jnp.where(_expand(s.done, new), old, new), finished, s.finished
        )

        living = jnp.where(tokens == eos_id, NEVER, best)
        rows = (jnp.arange(batch)[:, None] * beam + parents).reshape(-1)
        carry = jax.tree.map(lambda x: x[rows] if x.ndim else x, carry)

        # Log probabilities only fall and the penalty only grows: no living one can end above this.
        reachable = jnp.max(living / final_penalty, axis=1)
        done = s.done | jnp.all(living <= NEVER / 2, axis=1) | (s.t + 1 >= limit)
        done |= finished.scores[:, n_best - 1] > reachable
        # What lives at a sentence's limit is kept as it is while other sentences go on.
        sequences = jnp.where(_expand(s.done, sequences), s.alive, sequences)
        living = jnp.where(_expand(s.done, living), s.alive_log_probs, living)
        return _Search(s.t + 1, carry, sequences, living, finished, done)

    s = jax.lax.while_loop(unfinished, body, search)
    living = Hypotheses(
        s.alive,
        s.alive_log_probs / final_penalty,
        jnp.repeat(limit[:, None], beam, axis=1).astype(jnp.int32),
    )
    none = jnp.all(s.finished.scores <= NEVER / 2, axis=1)
    found = jax.tree.map(
        lambda alive, ended: jnp.where(_expand(none, ended), alive, ended), living, s.finished
    )
    return jax.tree.map(lambda x: x[:, :n_best], found)


def _flatten(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def _expand(flag: jax.Array, like: jax.Array) -> jax.Array:
    return flag.reshape(-1, *[1] * (like.ndim - 1))


def _pick(sequences: jax.Array, index: jax.Array) -> jax.Array:
    return jnp.take_along_axis(sequences, index[:, :, None], axis=1)


def _best_of(a: Hypotheses, b: Hypotheses, count: int) -> Hypotheses:
    both = jax.tree.map(lambda x, y: jnp.concatenate([x, y], axis=1), a, b)
    scores, index = jax.lax.top_k(both.scores, count)
    return Hypotheses(
        _pick(both.tokens, index), scores, jnp.take_along_axis(both.lengths, index, axis=1)
    )
