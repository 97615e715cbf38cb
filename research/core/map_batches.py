"""One function over many rows, every process and device doing its own part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding

from research.core.experiment import PyTree
from research.core.partition import BATCH, BATCH_SPEC

_THREADS, _AHEAD = 16, 64  # readers of rows, and rows that they may be ahead


def map_batches(
    function: Callable[[Any, Any], PyTree],
    variables: PyTree,
    rows: Sequence[PyTree],
    batch_size: int,
) -> PyTree:
    """Applies a function to all rows in batches, every process and device doing its own part.

    Each process reads only the rows that its devices work on, several at a time in threads, so that
    images are decoded once in the whole run. All processes have to call it together.

    Args:
      function: `(variables, batch) -> outputs`, jitted; of a batch with leaves `[B, ...]` it makes
        leaves `[B, ...]`, row i from row i alone.
      variables: arrays laid out as training has them; batches are split over the same mesh.
      rows: `rows[i]` is a pytree of arrays or numbers; the same rows in every process.
      batch_size: rows in one call; raised to a multiple of the devices that share a batch. The last
        batch is filled up with copies of the last row, whose outputs are dropped.

    Returns:
      Outputs as NumPy arrays `[N, ...]`, of the N rows in order, in every process.

    Raises:
      ValueError: there are no rows.
    """
    if not len(rows):
        raise ValueError("there are no rows to evaluate")
    mesh = _mesh_of(variables)
    ways = 1 if mesh is None else int(np.prod([mesh.shape[axis] for axis in BATCH]))
    batch_size = -(-batch_size // ways) * ways
    parts, pending = [], None
    for index, batch in _own_batches(rows, batch_size):
        index, batch = _put((index, batch), mesh)
        outputs_ahead = index, function(variables, batch)
        if pending is not None:  # read while the devices work on the next batch
            parts.append(_gather(pending))
        pending = outputs_ahead
    parts.append(_gather(pending))
    index, outputs = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    # Rows come back in the order of the mesh's devices, which need not be that of the processes;
    # of copies of the last row the first one is taken.
    order = np.unique(index, return_index=True)[1]
    return jax.tree.map(lambda x: x[order], outputs)


def _own_batches(rows: Sequence[PyTree], batch_size: int) -> Iterator[tuple[np.ndarray, PyTree]]:
    """This process's share of every global batch: the rows' numbers, and the rows stacked."""
    count = batch_size // jax.process_count()
    first = jax.process_index() * count
    starts = range(0, len(rows), batch_size)
    own = [min(s + first + i, len(rows) - 1) for s in starts for i in range(count)]
    import grain  # takes a second; not every user of a model evaluates with it

    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_AHEAD)
    read = grain.MapDataset.source(own).map(lambda i: (np.int32(i), rows[i]))
    return iter(read.to_iter_dataset(options).batch(count))


def _mesh_of(variables: PyTree) -> Mesh | None:
    for leaf in jax.tree.leaves(variables):
        where = getattr(leaf, "sharding", None)
        if isinstance(where, NamedSharding) and isinstance(where.mesh, Mesh):
            return where.mesh
    return None


def _put(batch: PyTree, mesh: Mesh | None) -> PyTree:
    if mesh is None:
        return batch
    where = NamedSharding(mesh, BATCH_SPEC)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(where, x), batch)


def _gather(outputs: PyTree) -> PyTree:
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(outputs, tiled=True)
    return jax.device_get(outputs)
