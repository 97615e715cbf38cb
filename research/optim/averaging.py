"""Averages of the last k checkpoints of a run (Vaswani et al. 2017, section 6.1)."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp


class Average(flax.struct.PyTreeNode):
    """The mean so far.

    Attributes:
      mean: like the parameters, in float32.
      count: checkpoints that are in it.
    """

    mean: Any
    count: jax.Array


@dataclasses.dataclass(frozen=True)
class CheckpointAverage:
    """Arithmetic mean of the parameters at the last `checkpoints` multiples of `every_steps`.

    A run's length is known, so which of its steps will be the last ones is too: a running mean in
    the state gives exactly what averaging files afterwards would, needs one copy of the parameters
    in place of k, and is resumed like any other state. Checkpoints are counted back from the end.

    Attributes:
      num_steps: length of the run.
      checkpoints: k.
      every_steps: steps between two checkpoints.
    """

    num_steps: int
    checkpoints: int
    every_steps: int

    def init(self, params: Any) -> Average:
        """The average before any step."""
        return Average(jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32))

    def update(self, average: Average, params: Any, t: jax.Array) -> Average:
        """Takes in the new parameters of step `t` (from 0); to be called in every step."""
        left = self.num_steps - (t + 1)
        take = (left % self.every_steps == 0) & (left < self.checkpoints * self.every_steps)
        count = average.count + take

        def add(mean: Any) -> Any:
            return jax.tree.map(lambda m, p: m + (p - m) / count, mean, params)

        # A branch, not a `where`: most steps then do not touch the mean at all.
        mean = jax.lax.cond(take, add, lambda mean: mean, average.mean)
        return Average(mean, count)

    def params(self, average: Average, params: Any) -> Any:
        """The mean, or before the first of the last checkpoints the current `params`."""
        return jax.tree.map(
            lambda mean, p: jnp.where(average.count > 0, mean, p), average.mean, params
        )
