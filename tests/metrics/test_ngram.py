"""The counted model against counting in Python, and its probabilities sum to one."""

import collections

import numpy as np
import pytest

from research.metrics.ngram import log_losses

V = 5
RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.integers(0, V, 300), RNG.integers(0, V, 40)


def probability(context, word, train, vocab=V):
    """Witten-Bell by its definition."""
    shorter = probability(context[1:], word, train, vocab) if context else 1 / vocab
    n = len(context)
    after = [train[i + n] for i in range(len(train) - n) if tuple(train[i : i + n]) == context]
    if not after:
        return shorter
    counts = collections.Counter(after)
    return (counts[word] + len(counts) * shorter) / (len(after) + len(counts))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_equals_the_definition(order):
    found = log_losses(TRAIN, TEST, order, V)
    expected = [
        -np.log(probability(tuple(TEST[i - order + 1 : i]), TEST[i], TRAIN.tolist()))
        for i in range(order - 1, len(TEST))
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_probabilities_sum_to_one():
    context = TEST[:3]
    tests = [np.append(context, word) for word in range(V)]
    total = sum(np.exp(-log_losses(TRAIN, test, 4, V)[0]) for test in tests)
    assert total == pytest.approx(1.0)


def test_learns_a_pattern():
    pattern = np.tile([0, 1, 2, 3], 50)
    assert log_losses(pattern, pattern, 3, V).mean() < 0.05
    assert log_losses(pattern, pattern, 1, V).mean() == pytest.approx(np.log(4), abs=0.1)
