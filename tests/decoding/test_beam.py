"""Beam search: a beam of one is greedy, a beam wide enough is exhaustive search."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.decoding.beam import NEVER, beam_search, length_penalty
from research.decoding.sampling import greedy
from research.nn.decoder_state import DecoderState

V, EOS, T, B = 3, 0, 4, 5


def step(params, state, token):
    """Logits depend on the whole prefix (through a random recurrent state) and on the sentence."""
    recurrent, embed, out = params
    carry, time = state.carry
    carry = jnp.tanh(carry @ recurrent + embed[token] + state.context)
    return DecoderState((carry, time + 1), state.context), 3 * carry @ out


def start(context):
    return DecoderState((jnp.zeros_like(context), jnp.zeros((), jnp.int32)), context)


@functools.cache
def problem(seed):
    keys = jax.random.split(jax.random.key(seed), 4)
    shapes = ((6, 6), (V, 6), (6, V))
    params = [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=False)]
    return params, jax.random.normal(keys[3], (B, 6))


@functools.cache
def searcher(**setting):
    search = functools.partial(beam_search, step, eos_id=EOS, max_length=T, pad_id=7, **setting)
    return jax.jit(lambda params, context: search(params, start(context), jnp.ones(B, int)))


def ranked(params, context, alpha):
    """All sequences that end within T tokens, best first: (score, tokens)."""
    sequences = [
        (*prefix, EOS) for n in range(T) for prefix in itertools.product(range(1, V), repeat=n)
    ]

    def log_prob(sequence):
        state, total, token = start(context[None]), 0.0, 1
        for following in sequence:
            state, logits = step(params, state, jnp.array([token]))
            total += float(jax.nn.log_softmax(logits)[0, following])
            token = following
        return total

    scored = [(log_prob(s) / ((5 + len(s)) / 6) ** alpha, s) for s in sequences]
    return sorted(scored, reverse=True)


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_wide_beam_equals_brute_force(alpha):
    params, context = problem(0)
    found = searcher(beam=V**T, alpha=alpha, n_best=4)(params, context)
    for b in range(2):
        for n, (score, tokens) in enumerate(ranked(params, context[b], alpha)[:4]):
            np.testing.assert_allclose(found.scores[b, n], score, rtol=1e-4)
            assert tuple(found.tokens[b, n, : len(tokens)].tolist()) == tokens
            assert found.lengths[b, n] == len(tokens)
            assert np.all(found.tokens[b, n, len(tokens) :] == 7)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_beam_of_one_equals_greedy(alpha):
    for seed in range(6):
        params, context = problem(seed)
        found = searcher(beam=1, alpha=alpha)(params, context)
        expected = greedy(
            step, params, start(context), jnp.ones(B, int), eos_id=EOS, max_length=T, pad_id=7
        )
        assert np.array_equal(found.tokens[:, 0], expected.tokens)
        assert np.array_equal(found.lengths[:, 0], expected.lengths)


def test_wider_beams_of_ended_hypotheses_find_no_worse(alpha=0.6):
    for seed in range(4):
        params, context = problem(seed)
        best = np.array([ranked(params, c, alpha)[0][0] for c in context])
        narrow = searcher(beam=1, alpha=alpha)(params, context)
        wide = searcher(beam=V**T, alpha=alpha, n_best=4)(params, context)
        np.testing.assert_allclose(wide.scores[:, 0], best, rtol=1e-4)
        ended = np.any(np.asarray(narrow.tokens[:, 0]) == EOS, axis=-1)
        assert np.all(np.asarray(narrow.scores[:, 0])[ended] <= best[ended] + 1e-5)


def test_sentences_of_a_batch_do_not_influence_each_other():
    params, context = problem(1)
    search = searcher(beam=3, alpha=0.6, n_best=3)
    whole = search(params, context)
    mixed = search(params, context[jnp.array([4, 2, 2, 0, 1])])
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[2], y[1]), whole, mixed)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[0], y[3]), whole, mixed)


def test_hypotheses_are_different_and_sorted():
    found = searcher(beam=3, alpha=0.6, n_best=3)(*problem(2))
    assert np.all(np.diff(found.scores, axis=1) <= 0)
    for tokens, scores in zip(found.tokens, found.scores, strict=True):
        real = [tuple(t.tolist()) for t, s in zip(tokens, scores, strict=True) if s > NEVER / 2]
        assert len(set(real)) == len(real) >= 1


def test_unfinished_sentences_get_their_living_hypotheses():
    params, context = problem(0)
    never_ends = [*params[:2], params[2].at[:, EOS].set(0.0)]

    def unending(params, state, token):
        state, logits = step(params, state, token)
        return state, logits.at[:, EOS].set(-1e4)

    found = beam_search(
        unending, never_ends, start(context), jnp.ones(B, int), beam=2, eos_id=EOS, max_length=T
    )
    assert np.all(found.lengths == T) and np.all(found.tokens != EOS)
    assert np.all(found.scores > NEVER / 2)


@pytest.mark.parametrize("end_logit", [0.0, -1e4])
def test_a_sentence_with_a_limit_is_searched_as_if_all_had_it(end_logit):
    """With ends that come by themselves, and with none at all."""
    params, context = problem(3)

    def rarely_ending(params, state, token):
        state, logits = step(params, state, token)
        return state, logits.at[:, EOS].add(end_logit)

    def search(max_length, limits=None):
        return beam_search(
            rarely_ending,
            params,
            start(context),
            jnp.ones(B, int),
            beam=3,
            eos_id=EOS,
            max_length=max_length,
            n_best=3,
            pad_id=7,
            limits=limits,
        )

    limits = jnp.array([1, 4, 2, 3, 4])
    found, alone = search(T, limits), {n: search(n) for n in range(1, T + 1)}
    assert np.all(found.lengths <= limits[:, None])
    for b, n in enumerate(limits.tolist()):
        np.testing.assert_allclose(found.scores[b], alone[n].scores[b], rtol=1e-6)
        real = found.scores[b] > NEVER / 2
        assert np.array_equal(found.lengths[b][real], alone[n].lengths[b][real])
        assert np.array_equal(found.tokens[b, :, :n][real], alone[n].tokens[b][real])
        assert np.all(found.tokens[b, :, n:][real] == 7)


def test_length_penalty_prefers_longer_hypotheses():
    assert length_penalty(1, 0.6) == 1.0
    np.testing.assert_allclose(length_penalty(7, 0.6), 2**0.6)

    # Ending at once: log 0.6 = -0.51. Eleven sure tokens after log 0.4 = -0.92, which over
    # lp(12) = 2.83 at alpha 1 is -0.32.
    def two_ways(params, state, token):
        time = state.carry
        at_start = jnp.log(jnp.array([0.6, 0.4, 1e-9]))
        later = jnp.where(time < 11, jnp.array([-30.0, 0.0, -30.0]), jnp.array([0.0, -30.0, -30.0]))
        logits = jnp.where(time == 0, at_start, later)
        return DecoderState(time + 1), jnp.broadcast_to(logits, (len(token), 3))

    lengths = [
        beam_search(
            two_ways,
            None,
            DecoderState(jnp.zeros((), jnp.int32)),
            jnp.ones(1, int),
            beam=2,
            eos_id=EOS,
            max_length=20,
            alpha=alpha,
        ).lengths[0, 0]
        for alpha in (0.0, 1.0)
    ]
    assert lengths == [1, 12]


def test_search_stops_early():
    calls = []

    def ends(params, state, token):
        jax.debug.callback(lambda: calls.append(1))
        logits = jnp.array([0.0, -20.0, -20.0])
        return state, jnp.broadcast_to(logits, (len(token), 3))

    beam_search(
        ends,
        None,
        DecoderState(jnp.zeros((), jnp.int32)),
        jnp.ones(2, int),
        beam=2,
        eos_id=EOS,
        max_length=50,
    )
    jax.effects_barrier()
    assert len(calls) == 1
