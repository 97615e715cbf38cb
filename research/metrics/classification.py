"""Errors of classifiers in percent, averages over views, and layer responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

Predict = Callable[[jax.Array], jax.Array]


def top_k_error(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Percentage of rows whose label is not among the `k` highest scores.

    A label is found when fewer than k other classes score at least as high: a tie is an error, so
    that a network that says the same of all classes is wrong.

    Args:
      scores: `[N, K]`, logits or probabilities.
      labels: `[N]`, integers.
      k: 1 and 5 are usual.

    Raises:
      ValueError: no rows, or a score that is NaN.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if not len(scores) or np.isnan(scores).any():
        raise ValueError("top_k_error needs at least one row, and scores that are numbers")
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    return 100.0 * float(np.mean((scores >= own).sum(1) - 1 >= k))


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative logarithm of the label's probability, in nats; `[N, K]`, `[N]`."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return float(-np.log(np.maximum(own, 1e-30)).mean())


def view_probabilities(predict: Predict, views: Sequence[jax.Array]) -> jax.Array:
    """Softmax outputs (not logits) averaged over the views of each image, then over scales.

    With ten crops of one size this is the 10-crop test; with whole images at several sizes the
    fully convolutional multi-scale test, for a network that ends in global average pooling and a
    linear layer, whose output for a larger image is the average of its score map. Row i of what it
    returns is of image i alone, so that it may be given to `training.map_batches` in parts.

    Args:
      predict: the classifier, `[N, S, S, C] -> logits [N, K]`.
      views: for every scale `[B, V, S, S, C]`, V views of each of B images; scales count alike.

    Returns:
      `[B, K]`.
    """
    scales = []
    for images in views:
        count, views_each = images.shape[:2]
        rows = images.reshape(count * views_each, *images.shape[2:])
        outputs = jax.nn.softmax(predict(rows))
        scales.append(outputs.reshape(count, views_each, -1).mean(1))
    return jnp.stack(scales).mean(0)


def test_errors(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The errors that papers report of a test set, in percent.

    Args:
      probabilities: `[N, K]`, or other scores of the classes.
      labels: `[N]`, integers.

    Returns:
      "error", top-1, and "top5_error".
    """
    return {
        "error": top_k_error(probabilities, labels, 1),
        "top5_error": top_k_error(probabilities, labels, 5),
    }


def response_deviations(responses: Iterable[dict[str, jax.Array]]) -> dict[str, float]:
    """Standard deviation of each layer's output over all images, places and channels.

    The layer-response analysis of residual networks (He et al., 2015, section 4.2, figure 7).

    Args:
      responses: for every batch `{layer: [B, h, w, c]}`.
    """
    sums: dict[str, np.ndarray] = {}
    for batch in responses:
        for name, response in batch.items():
            values = np.asarray(response, np.float64)
            moments = np.array([values.size, values.sum(), (values**2).sum()])
            sums[name] = sums.get(name, np.zeros(3)) + moments
    return {
        name: float(np.sqrt(square / count - (total / count) ** 2))
        for name, (count, total, square) in sums.items()
    }
