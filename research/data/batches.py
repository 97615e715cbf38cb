"""A function over many rows, a few at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def _first(num: int, rows: np.ndarray) -> np.ndarray:
    return rows[:num]


def in_batches(function: Callable[[Any], Any], rows: Any, batch_size: int) -> Any:
    """Applies a function to rows on the host, `batch_size` of them at a time.

    The last batch is filled up with its own first row: a jitted `function` is compiled once. For
    test sets, which processes should share, there is `training.map_batches`.

    Args:
      function: `[batch_size, ...]` to a pytree of arrays `[batch_size, ...]`, row by row.
      rows: `[N, ...]`, N at least 1.

    Returns:
      Pytree of NumPy arrays `[N, ...]`.
    """
    parts = []
    for start in range(0, len(rows), batch_size):
        part = np.asarray(rows[start : start + batch_size])
        missing = batch_size - len(part)
        filled = np.concatenate([part, np.repeat(part[:1], missing, 0)]) if missing else part
        out = jax.device_get(function(filled))
        parts.append(jax.tree.map(functools.partial(_first, len(part)), out))
    return jax.tree.map(lambda *xs: np.concatenate(xs), *parts)
