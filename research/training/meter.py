"""Metrics of the steps between two log lines, and the watch over the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.core.experiment import State
from research.core.tree import named_leaves


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the message names step, batch and last good checkpoint."""


def check_parameters(step: int, state: State) -> None:
    """Checks a state after `step` steps before it is kept: its last loss came from the one before.

    Raises:
      NonFiniteLoss: a parameter is not finite.
    """
    parameters = {
        name: leaf
        for name, leaf in named_leaves(state).items()
        if "/params/" in f"/{name}" and jnp.issubdtype(leaf.dtype, jnp.inexact)
    }
    for name, finite in jax.device_get(_all_finite(parameters)).items():
        if not finite:
            raise NonFiniteLoss(f"{name} is not finite after step {step}")


@jax.jit
def _all_finite(arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: jnp.isfinite(array).all() for name, array in arrays.items()}


class Meter:
    """Means of metrics since the last log line.

    Attributes:
      sums: sum and count of each metric: a small JSON value, kept in checkpoints.
    """

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}

    def add(self, step: int, n: int, metrics: Mapping[str, Any]) -> None:
        """Adds the metrics of `n` steps after `step`, leaves `[n or more]`; waits for them.

        Raises:
          NonFiniteLoss: a metric whose name contains "loss" is not finite.
        """
        for name, value in jax.device_get(dict(metrics)).items():
            values = np.asarray(value)[:n]
            finite = np.isfinite(values)
            if "loss" in name and not finite.all():
                at = step + int(np.argmin(finite))
                raise NonFiniteLoss(f"{name} is not finite at step {at} (its batch: {at})")
            total, count = self.sums.setdefault(name, [0.0, 0])
            reported = values[~np.isnan(values)]  # NaN says «nothing to report», infinity does not
            total += float(reported.sum(dtype=np.float64))
            self.sums[name] = [total, count + reported.size]

    def means(self) -> dict[str, float]:
        """The means, NaN where nothing was reported; starts anew."""
        means = {name: s / c if c else math.nan for name, (s, c) in self.sums.items()}
        self.sums = {}
        return means
