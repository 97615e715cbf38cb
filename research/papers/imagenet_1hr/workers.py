"""Gradients of data-parallel workers, with the communication in sight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def worker_gradient(
    losses: Callable[[Any, Any], jax.Array], params: Any, batch: Any, axis: str
) -> tuple[jax.Array, Any]:
    """What one of k workers with n rows each does, inside `vmap(axis_name=axis)` or
    `shard_map(check_vma=False)` (which else sums gradients of replicated parameters by itself).

    Every row's loss is divided by kn, all workers' rows, and gradients are summed (Goyal et al.,
    2017, remark 3): a mean over a worker's own rows, then a sum, would be k times too large.

    Args:
      losses: `(params, batch) -> [n]`, of the worker's own rows.
      params: the same for all workers.
      batch: the worker's rows.
      axis: name of the workers' axis.

    Returns:
      The mean loss over all workers' rows and its gradient, the same for all workers.
    """
    workers = jax.lax.axis_size(axis)

    def share(params: Any) -> jax.Array:
        rows = losses(params, batch)
        return rows.sum() / (workers * rows.size)

    return jax.lax.psum(jax.value_and_grad(share)(params), axis)


def gradient_of_workers(
    losses: Callable[[Any, Any], jax.Array], params: Any, batch: Any, rows: int
) -> Any:
    """The gradient of `batch`, leaves `[B, ...]`, over workers with `rows` of it each."""
    parts = jax.tree.map(lambda x: x.reshape(-1, rows, *x.shape[1:]), batch)

    def worker(part: Any) -> Any:
        return worker_gradient(losses, params, part, "workers")[1]

    # All workers have the same sums.
    return jax.tree.map(lambda g: g[0], jax.jit(jax.vmap(worker, axis_name="workers"))(parts))
