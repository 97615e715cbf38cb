"""The learning curve as a part of the state: mean training returns over equal parts of a run."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


@flax.struct.dataclass
class ReturnCurve:
    """Attributes: total, `[K]` sums of the returns of episodes that ended in a part of the run;
    count, `[K]` their numbers."""

    total: jax.Array
    count: jax.Array

    @classmethod
    def empty(cls, bins: int) -> ReturnCurve:
        return cls(jnp.zeros(bins), jnp.zeros(bins))

    def add(self, returned: jax.Array, step: jax.Array, num_steps: int) -> ReturnCurve:
        """With returns of any shape, NaN where no episode ended, of step `step` of `num_steps`."""
        part = step * len(self.total) // num_steps
        return ReturnCurve(
            self.total.at[part].add(jnp.nansum(returned)),
            self.count.at[part].add((~jnp.isnan(returned)).sum()),
        )

    def means(self) -> np.ndarray:
        """`[K]`; where no episode ended, as in the part before (0 at the start)."""
        total, count = np.asarray(self.total), np.asarray(self.count)
        means: list[float] = []
        for i in range(len(total)):
            before = means[-1] if means else 0.0
            means.append(float(total[i] / count[i]) if count[i] else before)
        return np.array(means)
