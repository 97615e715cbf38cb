"""The learning curve as a part of the state: mean training returns over equal parts of a run."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


class ReturnCurve(flax.struct.PyTreeNode):
    """Returns of the episodes that ended, by K equal parts of the run.

    Attributes:
      total: `[K]`, sums of the returns.
      count: `[K]`, numbers of the episodes.
    """

    total: jax.Array
    count: jax.Array

    @classmethod
    def empty(cls, bins: int) -> ReturnCurve:
        """A curve of `bins` parts in which no episode has ended."""
        return cls(jnp.zeros(bins), jnp.zeros(bins))

    def add(self, returned: jax.Array, step: jax.Array, num_steps: int) -> ReturnCurve:
        """Counts the episodes that ended in a step of the run.

        Args:
          returned: returns, of any shape; NaN where no episode ended.
          step: the step's number, of `num_steps`.
          num_steps: length of the run.
        """
        part = step * len(self.total) // num_steps
        return ReturnCurve(
            self.total.at[part].add(jnp.nansum(returned)),
            self.count.at[part].add((~jnp.isnan(returned)).sum()),
        )

    def means(self) -> np.ndarray:
        """Mean returns `[K]`; a part without episodes repeats the one before (at first 0)."""
        total, count = np.asarray(self.total), np.asarray(self.count)
        means: list[float] = []
        for i in range(len(total)):
            before = means[-1] if means else 0.0
            means.append(float(total[i] / count[i]) if count[i] else before)
        return np.array(means)
