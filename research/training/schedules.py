"""Learning-rate schedules of the papers."""

from __future__ import annotations

import jax.numpy as jnp
import optax


def noam(dim: int, warmup_steps: int, factor: float = 1.0) -> optax.Schedule:
    """factor * dim^-0.5 * min(step^-0.5, step * warmup^-1.5) (Vaswani et al. 2017, equation 3).

    The paper counts steps from 1, optax from 0.
    """

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        step = jnp.asarray(count, jnp.float32) + 1.0
        return factor * dim**-0.5 * jnp.minimum(step**-0.5, step * warmup_steps**-1.5)

    return schedule
