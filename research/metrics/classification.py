"""Errors of classifiers in percent, averages over views, and layer responses.

`predict` below is `[B, H, W, C] -> logits [B, K]`, jitted by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import jax
import numpy as np

Predict = Callable[[np.ndarray], jax.Array]


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


def view_probabilities(
    predict: Predict, views: Iterable[Sequence[np.ndarray]], batch_size: int
) -> np.ndarray:
    """Softmax outputs (not logits) averaged over the views of each image, `[N, K]`.

    With ten crops of one size this is the 10-crop test; with whole images at several sizes the
    fully convolutional multi-scale test, for a network that ends in global average pooling and a
    linear layer, whose output for a larger image is the average of its score map.

    Args:
      predict: the classifier; called with `batch_size` rows of one size at a time.
      views: for every image its views, `[V, S, S, C]` for each scale; scales count alike.
      batch_size: how many views go through the network at once.
    """
    waiting: list[Sequence[np.ndarray]] = []
    results: list[np.ndarray] = []

    def flush() -> None:
        scales = []
        for arrays in zip(*waiting, strict=True):
            rows = np.concatenate(arrays)
            filled = -len(rows) % batch_size
            rows = np.concatenate([rows, np.zeros((filled, *rows.shape[1:]), rows.dtype)])
            logits = [predict(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
            outputs = np.concatenate([jax.device_get(jax.nn.softmax(each)) for each in logits])
            outputs = outputs[: len(outputs) - filled]
            scales.append(outputs.reshape(len(waiting), len(arrays[0]), -1).mean(1))
        results.append(np.mean(scales, axis=0))
        waiting.clear()

    for image_views in views:
        waiting.append(image_views)
        if len(waiting) == batch_size:
            flush()
    if waiting:
        flush()
    return np.concatenate(results)


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
