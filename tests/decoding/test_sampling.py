"""Greedy and sampled decoding on models small enough to work out by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import chisquare

from research.core.errors import UserError
from research.decoding.sampling import greedy, sample, truncate
from research.nn.decoder_state import DecoderState

V, EOS, T = 5, 0, 6


def step(params, state, token):
    """A Markov chain that also counts its steps: logits of the next token given this one."""
    return DecoderState(state.carry + 1, state.context), params[token] + state.context


def start(rows):
    return DecoderState(jnp.zeros(rows, jnp.int32), jnp.zeros((rows, 1)))


@pytest.fixture(scope="module")
def params():
    return 2 * jax.random.normal(jax.random.key(3), (V, V)).at[:, EOS].add(-0.5)


def test_greedy_follows_the_argmax(params):
    first = jnp.arange(1, V)
    found = jax.jit(functools.partial(greedy, step, eos_id=EOS, max_length=T, pad_id=9))(
        params, start(V - 1), first
    )
    table = np.asarray(jax.nn.log_softmax(params))
    for row, token in enumerate(first):
        expected, total, token = [], 0.0, int(token)
        while len(expected) < T and token != EOS:
            following = int(table[token].argmax())
            total, token = total + table[token, following], following
            expected.append(token)
        assert found.lengths[row] == len(expected)
        assert found.tokens[row].tolist() == expected + [9] * (T - len(expected))
        np.testing.assert_allclose(found.log_probs[row], total, rtol=1e-5)


def test_samples_have_the_models_frequencies(params):
    rows = 20_000
    found = sample(
        step, params, start(rows), jnp.full(rows, 2), jax.random.key(0), eos_id=EOS, max_length=2
    )
    expected = rows * softmax(np.float64(params[2]))
    assert chisquare(np.bincount(found.tokens[:, 0], minlength=V), expected).pvalue > 1e-3
    after = np.asarray(found.tokens)[np.asarray(found.tokens[:, 0]) == 3, 1]  # the second step
    expected = len(after) * softmax(np.float64(params[3]))
    assert chisquare(np.bincount(after, minlength=V), expected).pvalue > 1e-3
    # Both steps of a row are counted in its log probability, until it has ended.
    table = np.asarray(jax.nn.log_softmax(params))
    a, b = np.asarray(found.tokens).T
    total = table[2, a] + np.where(a == EOS, 0.0, table[a, b])
    np.testing.assert_allclose(found.log_probs, total, rtol=1e-4)
    assert np.array_equal(found.lengths, np.where(a == EOS, 1, 2))


def test_low_temperature_and_top_1_are_greedy(params):
    first = jnp.arange(1, V)
    expected = greedy(step, params, start(V - 1), first, eos_id=EOS, max_length=T)
    for setting in ({"temperature": 1e-3}, {"top_k": 1}, {"top_p": 1e-6}):
        found = sample(
            step,
            params,
            start(V - 1),
            first,
            jax.random.key(0),
            eos_id=EOS,
            max_length=T,
            **setting,
        )
        assert np.array_equal(found.tokens, expected.tokens), setting
        np.testing.assert_allclose(found.log_probs, expected.log_probs, rtol=1e-5)


def test_truncation():
    logits = jnp.log(jnp.array([[0.1, 0.4, 0.2, 0.3], [0.97, 0.01, 0.01, 0.01]]))

    def kept(**setting):
        return np.isfinite(truncate(logits, **setting)).tolist()

    assert kept(top_k=2) == [[False, True, False, True], [True, True, True, True]]  # ties stay
    assert kept(top_p=0.5) == [[False, True, False, True], [True, False, False, False]]
    assert kept(top_p=0.39) == [[False, True, False, False], [True, False, False, False]]
    assert np.all(kept())
    np.testing.assert_allclose(truncate(logits, temperature=0.5), 2 * logits, rtol=1e-6)


def test_loop_stops_when_all_rows_have_ended():
    ends = jnp.full((V, V), -30.0).at[:, EOS].set(0.0)
    calls = []

    def counting(params, state, token):
        jax.debug.callback(lambda: calls.append(1))
        return step(params, state, token)

    found = greedy(counting, ends, start(2), jnp.ones(2, int), eos_id=EOS, max_length=50)
    jax.effects_barrier()
    assert found.lengths.tolist() == [1, 1] and len(calls) == 1


def test_temperature_zero_is_greedy(params):
    first = jnp.arange(1, V)
    options = {"eos_id": EOS, "max_length": T}
    cold = sample(
        step, params, start(V - 1), first, jax.random.key(7), temperature=0.0, top_k=3, **options
    )
    np.testing.assert_array_equal(
        cold.tokens, greedy(step, params, start(V - 1), first, **options).tokens
    )


def test_as_many_tokens_as_there_are_is_all_of_them(params):
    for top_k in (V, V + 1, 40):
        np.testing.assert_array_equal(truncate(params, top_k=top_k), truncate(params))


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}]
)
def test_settings_without_a_distribution_are_refused(params, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        sample(
            step,
            params,
            start(1),
            jnp.array([1]),
            jax.random.key(0),
            eos_id=EOS,
            max_length=T,
            **wrong,
        )
