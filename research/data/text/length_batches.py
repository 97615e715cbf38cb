"""Sequences of many lengths in batches of few shapes, so that little is padding or compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from research.core import Source
from research.core.errors import UserError
from research.core.map_batches import map_batches
from research.data.dataset import Rows
from research.data.text.tokenization import PAD

Row = Mapping[str, Any]
LENGTH = "length"


def padded(rows: Sequence[Row], size: int) -> dict[str, np.ndarray]:
    """Rows as arrays.

    Args:
      rows: arrays `[L]`, L being the same for all of a row, and integers.
      size: of the longest row at least.

    Returns:
      Arrays as `[N, size]` int32 with `PAD` at their end, integers as `[N]`, and "length" `[N]`.
    """
    found: dict[str, np.ndarray] = {}
    for name, value in rows[0].items():
        if not np.ndim(value):
            found[name] = np.array([row[name] for row in rows], np.int32)
            continue
        found[name] = np.full((len(rows), size), PAD, np.int32)
        for place, row in zip(found[name], rows, strict=True):
            place[: len(row[name])] = row[name]
    found[LENGTH] = row_lengths(rows).astype(np.int32)
    return found


def row_lengths(rows: Sequence[Row]) -> np.ndarray:
    """Lengths `[N]` of rows."""
    return np.array([max(len(x) for x in row.values() if np.ndim(x)) for row in rows])


class LengthBatches(Source):
    """Batches of rows of about the same length.

    Every epoch is a new permutation of the rows. Of every `count * batch_size` of them, those that
    are of about the same length come into one batch, and the batches of an epoch in random order. A
    batch is padded to the first of `lengths` that its longest row fits. What fills no batch is left
    out, other rows in every epoch. Batch t is a function of (seed, t), whatever the number of
    processes: each takes its rows of it.

    Args:
      open_rows: gives the rows and says where they come from; called by `open`, not before.
      arrays, integers: names of what a row has, as `padded` takes it.
      lengths: that batches are padded to, ascending.
      batch_size: rows of a global batch.
      count: batches whose rows are sorted together; 1 sorts nothing.
      seed: decides the order.
    """

    def __init__(
        self,
        open_rows: Callable[[], tuple[Sequence[Row], str]],
        arrays: Sequence[str],
        integers: Sequence[str],
        lengths: Sequence[int],
        batch_size: int,
        count: int,
        seed: int,
    ):
        self.open_rows, self.lengths = open_rows, list(lengths)
        self.batch_size, self.count, self.seed = batch_size, count, seed
        wide = jax.ShapeDtypeStruct((batch_size, self.lengths[-1]), np.int32)
        narrow = jax.ShapeDtypeStruct((batch_size,), np.int32)
        self.spec = {name: wide for name in arrays} | {name: narrow for name in (*integers, LENGTH)}
        self.epoch = self.index = 0
        self._rows: Sequence[Row] | None = None
        self._plan: tuple[int, np.ndarray] | None = None

    def open(self) -> None:
        """Opens the rows.

        Raises:
          UserError: they fill no batch, or one of them is longer than the last of `lengths`.
        """
        if self._rows is not None:
            return
        rows, origin = self.open_rows()
        if len(rows) < self.batch_size:
            raise UserError(f"{origin}: {len(rows)} texts fill no batch of {self.batch_size}")
        self._sizes = row_lengths(rows)
        if self._sizes.max() > self.lengths[-1]:
            raise UserError(
                f"{origin}: a text has {self._sizes.max()} tokens, the longest batch "
                f"{self.lengths[-1]}; raise the last of data.lengths"
            )
        self._rows, self.origin = rows, origin

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        self.open()
        assert self._rows is not None
        batches = self._batches(self.epoch)
        chosen = batches[self.index]
        self.index += 1
        if self.index == len(batches):
            self.epoch, self.index = self.epoch + 1, 0
        # Of the whole batch, so that all processes have one shape.
        size = self.lengths[np.searchsorted(self.lengths, self._sizes[chosen].max())]
        share = len(chosen) // jax.process_count()
        start = share * jax.process_index()
        return padded([self._rows[i] for i in chosen[start : start + share]], size)

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "index": self.index}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.index = state["epoch"], state["index"]

    def _batches(self, epoch: int) -> np.ndarray:
        """Rows of each batch of an epoch: `[batches, batch_size]`."""
        if self._plan is None or self._plan[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            order = rng.permutation(len(self._sizes))
            order = order[: len(order) // self.batch_size * self.batch_size]
            together = self.count * self.batch_size
            groups = [order[i : i + together] for i in range(0, len(order), together)]
            if self.count > 1:
                groups = [g[np.argsort(self._sizes[g], kind="stable")] for g in groups]
            batches = np.concatenate(groups).reshape(-1, self.batch_size)
            self._plan = epoch, batches[rng.permutation(len(batches))]
        return self._plan[1]


def map_rows(
    function: Callable[[Any, dict[str, jax.Array]], Any],
    variables: Any,
    rows: Sequence[Row],
    lengths: Sequence[int],
    batch_size: int,
) -> Any:
    """Applies a function to all rows whole, by lengths, shared over processes and devices.

    Rows longer than the last of `lengths` get lengths of their own, twice as long, and so on.

    Args:
      function: `(variables, batch) -> outputs`, jitted, of batches as `padded` makes them; output
        leaves `[N, ...]` whose other axes do not depend on the length.
      variables: its first argument.
      rows: see `padded`.
      lengths: ascending.
      batch_size: rows in one call.

    Returns:
      Outputs `[len(rows), ...]`, in order.
    """
    sizes = row_lengths(rows)
    lengths = list(lengths)
    while lengths[-1] < sizes.max():
        lengths.append(2 * lengths[-1])
    bucket = np.searchsorted(lengths, sizes)
    order, parts = [], []
    for i, length in enumerate(lengths):
        members = np.flatnonzero(bucket == i)
        if len(members):
            values = Rows(padded([rows[j] for j in members.tolist()], length))
            parts.append(map_batches(function, variables, values, batch_size))
            order.append(members)
    back = np.argsort(np.concatenate(order))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[back], *parts)
