"""The loss against its definition, and the error beside it."""

import jax.numpy as jnp
import numpy as np

from research.losses.softmax import softmax_loss


def test_mean_cross_entropy_and_error_in_percent():
    logits = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [1.0, 0.0, 4.0], [0.0, 1.0, 0.5]])
    labels = np.array([1, 1, 2, 1])
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss, error = softmax_loss(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(loss, -np.log(probabilities[np.arange(4), labels]).mean(), rtol=1e-5)
    assert error == 25.0
