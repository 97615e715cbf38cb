"""Batches of arrays in memory, for steps that are shorter than reading records one by one.

The order is that of `pipeline.Stream`: a function of the seed alone, shuffled anew for every epoch,
epochs without a gap between them, and every process has its rows of each global batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from research.core.errors import UserError
from research.core.experiment import Batch, Source, State


class ArrayBatches(Source):
    """Batches of rows out of arrays `[N, ...]`, by one index operation each.

    Args:
      open_arrays: gives the arrays by name and says where they come from; called by `open`, not
        before.
      row: name -> `jax.ShapeDtypeStruct` of one row.
      batch_size: rows of a global batch.
      seed: decides the order.
      process: (index, count); None asks JAX.
    """

    def __init__(
        self,
        open_arrays: Callable[[], tuple[Mapping[str, np.ndarray], str]],
        row: Mapping[str, jax.ShapeDtypeStruct],
        batch_size: int,
        seed: int,
        process: tuple[int, int] | None = None,
    ):
        self.open_arrays = open_arrays
        self.spec = {
            name: jax.ShapeDtypeStruct((batch_size, *s.shape), s.dtype) for name, s in row.items()
        }
        self.batch_size, self.seed = batch_size, seed
        self.process = process
        self._arrays: Mapping[str, np.ndarray] | None = None
        self._next_batch = 0
        self._orders: dict[int, np.ndarray] = {}  # of the one or two epochs of a batch

    def open(self) -> None:
        """Opens the arrays.

        Raises:
          UserError: they are not what `row` says, there are none, or the batch does not divide over
            the processes.
        """
        if self._arrays is not None:
            return
        _, processes = self._process()
        if self.batch_size % processes:
            raise UserError(
                f"a global batch of {self.batch_size} rows does not divide over {processes} "
                f"processes; choose a multiple of {processes}"
            )
        arrays, origin = self.open_arrays()
        for name, spec in self.spec.items():
            if arrays[name].shape[1:] != spec.shape[1:]:
                raise UserError(
                    f"{origin}: {name} has rows {list(arrays[name].shape[1:])}, but the experiment "
                    f"was built for {list(spec.shape[1:])}; choose the sizes that go with this data"
                )
            if not len(arrays[name]):
                raise UserError(f"{origin} is empty; choose another split")
        self._arrays, self.origin = arrays, origin

    def __call__(self, state: State) -> Batch:
        self.open()
        assert self._arrays is not None
        index, processes = self._process()
        count = self.batch_size // processes
        first = self._next_batch * self.batch_size + index * count
        self._next_batch += 1
        rows = self._rows(first, count)
        return {
            name: self._arrays[name][rows].astype(spec.dtype, copy=False)
            for name, spec in self.spec.items()
        }

    def get_state(self) -> dict[str, Any]:
        return {"next_batch": self._next_batch}

    def set_state(self, state: dict[str, Any]) -> None:
        self._next_batch = state["next_batch"]

    def _rows(self, first: int, count: int) -> np.ndarray:
        """Indices of the elements `[first, first + count)` of the endless sequence."""
        assert self._arrays is not None
        size = len(next(iter(self._arrays.values())))
        places = np.arange(first, first + count)
        epochs = places // size
        wanted = range(int(epochs[0]), int(epochs[-1]) + 1)
        self._orders = {e: self._orders.get(e, _NONE) for e in wanted}
        rows = np.empty(count, np.int64)
        for epoch in wanted:
            if not len(self._orders[epoch]):
                rng = np.random.default_rng([self.seed, epoch])
                self._orders[epoch] = rng.permutation(size)
            here = epochs == epoch
            rows[here] = self._orders[epoch][places[here] % size]
        return rows

    def _process(self) -> tuple[int, int]:
        return self.process or (jax.process_index(), jax.process_count())


_NONE = np.empty(0, np.int64)
