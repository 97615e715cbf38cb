"""Errors with known answers; averages over views against their definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.metrics import classification
from research.metrics.classification import response_deviations, top_k_error, view_probabilities


def test_top_k_error_counts_labels_outside_the_best_k():
    scores = np.array([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])
    labels = np.array([1, 1, 0, 0])
    assert top_k_error(scores, labels, 1) == 50.0
    assert top_k_error(scores, labels, 2) == 25.0
    assert top_k_error(scores, labels, 3) == 0.0


def test_a_network_that_says_the_same_of_all_classes_is_wrong():
    assert top_k_error(np.zeros((5, 10)), np.arange(5), 5) == 100.0


def test_scores_that_are_not_numbers_are_an_error():
    with pytest.raises(ValueError, match="numbers"):
        top_k_error(np.array([[np.nan, 0.0]]), np.array([0]))
    with pytest.raises(ValueError, match="one row"):
        top_k_error(np.zeros((0, 3)), np.zeros(0, int))


def test_probabilities_are_averaged_over_views_then_scales():
    rng = np.random.default_rng(0)
    weights = jnp.asarray(rng.normal(size=(3, 5)) * 4)

    def predict(x):  # any size, as after global average pooling
        return x.mean((1, 2)) @ weights

    views = [rng.normal(size=(7, 4, 6, 6, 3)), rng.normal(size=(7, 2, 8, 8, 3))]
    got = view_probabilities(predict, views)
    expected = [
        np.mean([jax.nn.softmax(predict(scale[i])).mean(0) for scale in views], axis=0)
        for i in range(7)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-5)
    of_logits = jax.nn.softmax(predict(views[0][:, 0]))
    assert np.abs(got - of_logits).max() > 0.05  # outputs, not logits, are averaged
    alone = view_probabilities(predict, [scale[2:3] for scale in views])
    np.testing.assert_allclose(alone[0], got[2], rtol=1e-5)  # row i is of image i alone


def test_both_errors_of_a_test_set():
    probabilities = np.linspace(0, 1, 8)[None].repeat(4, 0)  # class 7 first, then 6, 5, 4, 3
    found = classification.test_errors(probabilities, np.array([7, 3, 2, 0]))
    assert found == {"error": 75.0, "top5_error": 50.0}


def test_response_deviations_are_over_everything():
    rng = np.random.default_rng(0)
    batches = [
        {"a": rng.normal(5, 2, (4, 3, 3, 2)), "b": rng.normal(size=(4, 2, 2, 1))} for _ in range(3)
    ]
    found = response_deviations(batches)
    for name in ("a", "b"):
        together = np.concatenate([batch[name].ravel() for batch in batches])
        np.testing.assert_allclose(found[name], together.std(), rtol=1e-9)
