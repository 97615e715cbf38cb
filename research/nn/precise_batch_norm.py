"""Precise batch normalization: statistics of a large sample in place of moving averages.

The released ResNets were evaluated so (He et al., 2015, the models' release notes): after training,
mean and variance of every layer are computed anew as plain averages over many training images.
Moving averages lag behind the weights, the more the fewer and larger the last steps were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

Statistics = Any


def precise_statistics(
    update: Callable[[Statistics, Any], Statistics],
    statistics: Statistics,
    batches: Iterable[Any],
    momentum: float,
) -> Statistics:
    """Population statistics of every batch-norm layer over all of `batches`.

    Args:
      update: `(batch_stats, batch) -> batch_stats` of one training-mode pass, as flax's mutable
        collection returns it: momentum * old + (1 - momentum) * the batch's.
      statistics: a collection of the right shapes, leaves "mean" and "var"; values are not used.
      batches: equally large batches of training data; each batch is normalized by itself, as it was
        in training.
      momentum: of the layers.

    Returns:
      For each layer the mean over all images, and the variance about it: the average of the
      batches' variances plus the variance of their means.

    Raises:
      ValueError: there is no batch.
    """
    zeros = jax.tree.map(jnp.zeros_like, statistics)

    @jax.jit
    def add(sums: tuple[Any, Any], batch: Any) -> tuple[Any, Any]:
        batch_statistics = jax.tree.map(lambda s: s / (1 - momentum), update(zeros, batch))
        squares = jax.tree.map(lambda s: s**2, batch_statistics)  # of the variances: never used
        return jax.tree.map(jnp.add, sums, (batch_statistics, squares))

    sums, count = (zeros, zeros), 0
    for batch in batches:
        sums, count = add(sums, batch), count + 1
    if not count:
        raise ValueError("precise statistics need at least one batch")
    averages, squares = jax.tree.map(lambda s: s / count, sums)

    def join(average: Any, square: Any) -> Any:
        if "mean" not in average:
            return {name: join(average[name], square[name]) for name in average}
        mean = average["mean"]
        return {"mean": mean, "var": average["var"] + square["mean"] - mean**2}

    return join(averages, squares)
