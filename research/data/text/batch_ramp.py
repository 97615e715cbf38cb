"""Batches that grow while training, measured in tokens (Brown et al. 2020, appendix B)."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class BatchRamp:
    """Says how many rows each step's batch has. Every level is one shape, compiled once.

    Attributes:
      levels: (rows, steps) one after the other; the last goes on for as long as it is asked.
      tokens_per_row: tokens that one row trains on.
    """

    levels: tuple[tuple[int, int], ...]
    tokens_per_row: int

    @classmethod
    def linear(
        cls,
        *,
        first_rows: int,
        rows: int,
        ramp_tokens: int,
        total_tokens: int,
        tokens_per_row: int,
        levels: int,
        multiple: int,
    ) -> BatchRamp:
        """Grows from `first_rows` to `rows`, linear in the tokens seen, over `ramp_tokens` of them.

        The line is cut into `levels` steps of equal length in tokens. Rows are rounded up to a
        multiple of `multiple`: what devices and micro-batches must divide. With `ramp_tokens` of 0
        all batches are full.
        """
        found: list[tuple[int, int]] = []
        for level in range(levels if ramp_tokens else 0):
            size = first_rows + (rows - first_rows) * level / levels
            size = min(math.ceil(size / multiple) * multiple, rows)
            found.append((size, max(1, round(ramp_tokens / levels / size / tokens_per_row))))
        seen = sum(size * steps for size, steps in found) * tokens_per_row
        rest = math.ceil((total_tokens - seen) / (rows * tokens_per_row))
        return cls((*found, (rows, max(rest, 0))), tokens_per_row)

    @property
    def num_steps(self) -> int:
        """Length of all levels together."""
        return sum(steps for _, steps in self.levels)

    @property
    def max_rows(self) -> int:
        """Rows of the largest batch."""
        return max(rows for rows, _ in self.levels)

    def rows(self, step: int) -> int:
        """Rows of the batch of `step`, counted from 0."""
        for rows, steps in self.levels[:-1]:
            if step < steps:
                return rows
            step -= steps
        return self.levels[-1][0]

    def rows_before(self, step: int) -> int:
        """Rows of all batches before that of `step`."""
        total = 0
        for rows, steps in self.levels[:-1]:
            total += rows * min(step, steps)
            step -= min(step, steps)
        return total + step * self.levels[-1][0]

    def tokens_before(self, step: int | jax.Array) -> jax.Array:
        """Tokens seen before `step`, which may be traced: what schedules in tokens are read at."""
        steps = np.cumsum([0, *(steps for _, steps in self.levels)])
        tokens = np.array([self.rows_before(int(s)) * self.tokens_per_row for s in steps])
        where = jnp.asarray(step, jnp.float32)
        return jnp.interp(where, steps.astype(np.float32), tokens.astype(np.float32))
