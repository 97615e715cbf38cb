"""Pooling against NumPy, row by row without padding."""

import jax
import numpy as np
import pytest

from research.nn.sequence_pooling import KINDS, SequencePooling

B, T, F = 3, 6, 5
LENGTHS = np.array([6, 1, 4])


def pooled(kind, outputs, lengths=LENGTHS):
    model = SequencePooling(kind, size=4)
    variables = model.init(jax.random.key(1), outputs, lengths)
    return variables.get("params", {}), jax.jit(model.apply)(variables, outputs, lengths)


def expected(kind, params, rows):
    if kind == "mean":
        return rows.mean(0), np.full(len(rows), 1 / len(rows))
    if kind == "max":
        return rows.max(0), np.bincount(rows.argmax(0), minlength=len(rows)) / F
    hidden = np.tanh(rows @ params["w"]["kernel"] + params["w"]["bias"])
    scores = (hidden @ params["v"]["kernel"])[:, 0]
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    return weights @ rows, weights


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_pooled_over_its_own_steps(kind):
    # Padding that is not zero, and features that are negative: neither may count.
    outputs = np.random.default_rng(0).normal(size=(B, T, F)).astype(np.float32) - 3.0
    outputs[1, 1:] = outputs[2, 4:] = 50.0
    params, (vectors, weights) = pooled(kind, outputs)
    for i, length in enumerate(LENGTHS):
        vector, own = expected(kind, params, outputs[i, :length])
        np.testing.assert_allclose(vectors[i], vector, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(weights[i, :length], own, rtol=1e-5, atol=1e-6)
        assert not np.any(weights[i, length:])


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="mean, max, attention"):
        pooled("sum", np.zeros((B, T, F), np.float32))
