"""Batches from a source to the devices, one dispatch ahead of their use."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from research.core.errors import UserError
from research.core.experiment import Batch, Source, State


class Feed:
    """Takes batches from a source and puts them on the mesh.

    While the devices work on one dispatch, the batches of the next are already on their way.
    `position` is always that of the last batch that was taken, never of one only read ahead.
    """

    def __init__(self, source: Source, sharding: NamedSharding, steps_per_call: int):
        self.source = source
        self.sharding = sharding
        self.steps_per_call = steps_per_call
        self.position = source.get_state()
        self._ready: tuple[int, Batch, dict[str, Any]] | None = None

    def prepare(self, n: int, state: State) -> None:
        """Reads the next `n` batches and starts their transfer.

        Raises:
          UserError: they go to the devices in one piece but have several shapes.
        """
        batches = [self.source(state) for _ in range(n)]
        after = self.source.get_state()
        if self.steps_per_call == 1:
            (batch,) = batches
        else:
            batches += batches[-1:] * (self.steps_per_call - n)
            if len({tuple(np.shape(x) for x in jax.tree.leaves(b)) for b in batches}) > 1:
                raise UserError(
                    "batches of several shapes cannot share a dispatch; "
                    "set --config.steps_per_call=1"
                )
            batch = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
        self._ready = n, jax.tree.map(self._put, batch), after

    def take(self, n: int, state: State) -> Batch:
        """The next `n` batches on the mesh."""
        if self._ready is None:
            self.prepare(n, state)
        assert self._ready is not None and self._ready[0] == n
        _, batch, self.position = self._ready
        self._ready = None
        return batch

    def _put(self, rows: np.ndarray) -> jax.Array:
        axis = 0 if self.steps_per_call == 1 else 1
        shape = list(rows.shape)
        shape[axis] *= jax.process_count()
        return jax.make_array_from_process_local_data(self.sharding, rows, tuple(shape))
