"""Generation by queues: bit for bit what the whole network gives, run anew for every sample."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.decoding.queues import DRAWN, draw, draw_naively
from research.models.wavenet import WaveNet

B, T, HOP, FEATURES = 2, 60, 6, 3
SPEAKER = np.array([0, 2], np.int32)
LOCAL = np.random.default_rng(0).normal(size=(B, T // HOP, FEATURES)).astype(np.float32)
GIVEN = np.full((B, T), DRAWN, np.int32)


@functools.cache
def network(**options):
    sizes = {"bins": 16, "residual": 8, "gate": 8, "skip": 12, "head": 8, "strides": (2, 3)}
    model = WaveNet(**{**sizes, "dilations": (1, 2, 4, 8, 1, 2), **options})
    variables = jax.jit(model.init)(jax.random.key(0), GIVEN * 0, SPEAKER, LOCAL)
    # Larger weights, and biases: samples that differ, and a first activation that is not zero.
    rng = np.random.default_rng(1)
    grown = jax.tree.map(lambda x: 2 * x + rng.normal(0, 0.3, x.shape).astype(x.dtype), variables)
    return model, grown


@functools.cache
def drawn(how, key=5, **options):
    model, variables = network(**options)
    run = jax.jit(lambda v: how(model, v, jax.random.key(key), GIVEN, SPEAKER, LOCAL))
    return run(variables)


CASES = [
    {},
    {"speakers": 3, "local_features": FEATURES},
    {"taps": 3, "input_taps": 1},
    {"context_factor": 4, "context_features": 4, "context_dilations": (1, 2)},
]


@pytest.mark.parametrize("options", CASES, ids=["plain", "conditioned", "three_taps", "context"])
def test_queues_are_bit_for_bit_the_whole_network(options):
    fast, naive = drawn(draw, **options), drawn(draw_naively, **options)
    np.testing.assert_array_equal(fast.samples, naive.samples)
    if "context_factor" in options:  # compiled into other sums, which round in other places
        np.testing.assert_allclose(fast.logits, naive.logits, rtol=1e-3, atol=1e-4)
    else:
        np.testing.assert_array_equal(fast.logits, naive.logits)
    assert len(np.unique(fast.samples)) > 4 and (fast.samples[0] != fast.samples[1]).any()
    model, variables = network(**options)
    logits, _ = jax.jit(model.apply)(variables, fast.samples, SPEAKER, LOCAL)  # as in training
    np.testing.assert_allclose(fast.logits, logits, rtol=1e-3, atol=1e-4)


def test_other_keys_draw_other_samples():
    assert (drawn(draw, 5).samples != drawn(draw, 6).samples).any()


def test_what_is_given_is_kept_and_goes_on():
    model, variables = network()
    whole = drawn(draw).samples
    given = np.where(np.arange(T) < 25, whole, DRAWN)
    again = draw(model, variables, jax.random.key(5), jnp.asarray(given))
    np.testing.assert_array_equal(again.samples, whole)
    other = draw(model, variables, jax.random.key(6), jnp.asarray(given))
    np.testing.assert_array_equal(other.samples[:, :25], whole[:, :25])
    assert (other.samples[:, 25:] != whole[:, 25:]).any()


def test_without_temperature_the_likeliest_is_taken():
    model, variables = network()
    found = draw(model, variables, jax.random.key(0), jnp.asarray(GIVEN), temperature=0.0)
    np.testing.assert_array_equal(found.samples, found.logits.argmax(-1))
