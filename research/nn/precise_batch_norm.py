"""Precise batch normalization: statistics of a large sample in place of moving averages.

The released ResNets were evaluated so (He et al., 2015, the models' release notes): after training,
mean and variance of every layer are computed anew as plain averages over many training images.
Moving averages lag behind the weights, the more the fewer and larger the last steps were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

Statistics = Any
Variables = Mapping[str, Any]


class PreciseStatistics:
    """Population statistics of every batch-norm layer of a model.

    Args:
      update: `(variables, batch) -> batch_stats` of one training-mode pass, as flax's mutable
        collection returns it: momentum * old + (1 - momentum) * the batch's.
      momentum: of the layers.
    """

    def __init__(self, update: Callable[[Variables, Any], Statistics], momentum: float):
        self.update = update
        self.momentum = momentum
        self._jit_add = jax.jit(self._add)  # compiled once for all evaluations

    def __call__(self, variables: Variables, batches: Iterable[Any]) -> Statistics:
        """Statistics over all of `batches`.

        Args:
          variables: of the model. The leaves "mean" and "var" of "batch_stats" need only have the
            right shapes; their values are not used.
          batches: equally large batches of training data; each batch is normalized by itself, as it
            was in training.

        Returns:
          For each layer the mean over all images, and the variance about it: the average of the
          batches' variances plus the variance of their means.

        Raises:
          ValueError: there is no batch.
        """
        zeros = jax.tree.map(jnp.zeros_like, variables["batch_stats"])
        sums = zeros, zeros
        count = 0
        for batch in batches:
            sums = self._jit_add(sums, variables, batch)
            count += 1
        if not count:
            raise ValueError("precise statistics need at least one batch")
        averages, squares = jax.tree.map(lambda s: s / count, sums)
        return _pooled(averages, squares)

    def _add(
        self, sums: tuple[Statistics, Statistics], variables: Variables, batch: Any
    ) -> tuple[Statistics, Statistics]:
        """Adds a batch's statistics, and their squares, of which those of variances go unused."""
        zeros = jax.tree.map(jnp.zeros_like, variables["batch_stats"])
        updated = self.update({**variables, "batch_stats": zeros}, batch)
        # From zeros a pass leaves (1 - momentum) times the batch's own statistics.
        statistics = jax.tree.map(lambda s: s / (1 - self.momentum), updated)
        squares = jax.tree.map(lambda s: s**2, statistics)
        return jax.tree.map(jnp.add, sums, (statistics, squares))


def _pooled(average: Any, square: Any) -> Any:
    if "mean" not in average:
        return {name: _pooled(average[name], square[name]) for name in average}
    mean = average["mean"]
    return {"mean": mean, "var": average["var"] + square["mean"] - mean**2}
