"""Learning rates that go linearly from epoch to epoch, in phases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from research.core.errors import UserError


class RatePhase(NamedTuple):
    """From epoch `start`, the learning rate `first`; with an `end`, linearly to `last` there."""

    start: float
    first: float
    end: float | None = None
    last: float | None = None


def phase_rate(phases: Sequence[RatePhase], epoch: jax.Array | float) -> jax.Array:
    """Learning rate at `epoch`, a fraction: batch b of B in epoch e is at e + b / B.

    Of the phases that have begun the last one counts; after its end it stays at its last rate.

    Raises:
      UserError: phases are not in order, or the first is not at 0.
    """
    starts = [phase.start for phase in phases]
    if not starts or starts[0] or starts != sorted(starts):
        raise UserError(f"rate_phases begin at 0 and are in order, not at {starts}")
    epoch = jnp.asarray(epoch, jnp.float32)
    rate = jnp.zeros(())
    for start, first, end, last in phases:
        now = jnp.asarray(first, jnp.float32)
        if end is not None and last is not None:
            now = first + (last - first) * jnp.clip((epoch - start) / (end - start), 0, 1)
        rate = jnp.where(epoch >= start, now, rate)
    return rate


def rate_by_step(
    phases: Sequence[RatePhase], first_epoch: float, epoch_steps: int
) -> optax.Schedule:
    """`phase_rate` for the steps of a phase of training that begins at `first_epoch`."""
    return lambda step: phase_rate(phases, first_epoch + step / epoch_steps)
