"""Translating a corpus: every sentence gets its own output, in order, whatever its batch."""

import jax
import jax.numpy as jnp
import numpy as np

from research.data.text.pairs import EOS
from research.decoding.translate import (
    Decoder,
    Translations,
    decoder_of,
    ensemble,
    n_best,
    rescored,
    translate,
    without,
)
from research.models.transformer import Transformer
from research.nn.decoder_state import DecoderState


def test_order_batches_and_lengths():
    model = Transformer(12, layers=1, dim=8, num_heads=2, head_dim=4, hidden=8, dropout=0.0)
    rng = np.random.default_rng(0)
    sources = [np.array([*rng.integers(3, 12, n), EOS], np.int32) for n in (2, 5, 1, 5, 3, 4)]
    tokens = jnp.zeros((1, 4), jnp.int32)
    params = model.init(jax.random.key(0), tokens, tokens, train=False)["params"]
    decoder = decoder_of(model)
    setting = {"beam": 2, "alpha": 0.6, "extra_length": 3}
    together = translate(decoder, params, sources, [6], **setting, tokens_per_batch=24)
    assert len(together) == len(sources)
    for source, output in zip(sources, together, strict=True):
        (alone,) = translate(decoder, params, [source], [6], **setting, tokens_per_batch=24)
        assert np.array_equal(output, alone)
        assert 1 <= len(output) <= len(source) + 3  # not of the padded source
        assert EOS not in output[:-1]


def toy():
    """A decoder without a source: logits `[R, 5]` are those of its parameters, whatever is fed."""

    def start(params, source, max_length):
        return DecoderState(jnp.zeros((len(source), 1)), source)

    def step(params, state, token):
        return state, jnp.broadcast_to(params, (len(token), 5))

    return Decoder(start, step)


SETTING = {"beam": 4, "alpha": 0.0, "extra_length": 2, "tokens_per_batch": 8}


def log_softmax(x):
    return x - np.log(np.exp(x).sum())


def test_an_ensemble_averages_log_probabilities():
    a, b = np.random.default_rng(0).normal(size=(2, 5))
    voting = ensemble(toy())
    state = voting.start((a, b), jnp.ones((3, 2), int), 4)
    state, logits = voting.step((a, b), state, jnp.ones(3, int))
    expected = (log_softmax(a) + log_softmax(b)) / 2
    np.testing.assert_allclose(logits, np.tile(expected, (3, 1)), atol=1e-6)
    assert len(state.carry) == len(state.context) == 2
    # Twice the same network finds what it finds alone.
    sources = [np.array([3, 4, EOS])]
    (alone,) = n_best(toy(), jnp.asarray(a), sources, [4], **SETTING, count=3)
    (twice,) = n_best(voting, (jnp.asarray(a),) * 2, sources, [4], **SETTING, count=3)
    assert all(map(np.array_equal, alone.tokens, twice.tokens))
    np.testing.assert_allclose(alone.scores, twice.scores, rtol=1e-5)


def test_n_best_are_the_most_probable_sequences():
    logits = np.array([-9.0, -9.0, 1.0, 0.5, 0.8])
    (found,) = n_best(toy(), jnp.asarray(logits), [np.array([EOS])], [2], **SETTING, count=3)
    p = log_softmax(logits)
    assert found.tokens[0].tolist() == [EOS]
    expected = [p[list(tokens)].sum() for tokens in found.tokens]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)
    assert found.scores[0] > found.scores[1] > found.scores[2]


def test_a_forbidden_token_is_never_written():
    logits = jnp.array([-9.0, -9.0, 0.0, 3.0, 1.0])
    decoder = without(toy(), 3)
    state = decoder.start(logits, jnp.ones((2, 2), int), 4)
    _, found = decoder.step(logits, state, jnp.ones(2, int))
    assert np.all(found[:, 3] == -np.inf)
    assert np.array_equal(np.delete(found, 3, axis=1), np.tile(np.delete(logits, 3), (2, 1)))


def test_the_winner_of_two_scores_has_the_best_mean_of_them():
    rng = np.random.default_rng(0)
    for _ in range(20):
        own, other = -10 * rng.random((2, 6))
        found = Translations([np.array([i]) for i in range(6)], own)
        winner = int(rescored(found, other)[0])
        assert np.all(own[winner] + other[winner] >= own + other)
