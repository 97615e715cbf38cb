"""Pytrees: the names of their arrays, and batches in parts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from research.core.experiment import PyTree

T = TypeVar("T")


def path_name(path: tuple[Any, ...]) -> str:
    """Name "a/b/0" of an array from its key path: what rules and error messages speak of."""
    return "/".join(re.sub(r"^[.\['\"]+|['\"\]]+$", "", str(entry)) for entry in path)


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """Leaves of `tree` by path name."""
    return {path_name(p): leaf for p, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def count_parameters(state: PyTree) -> dict[str, int]:
    """Parameters of each learner in a state (arrays or shapes), by the learner's path."""
    counts: dict[str, int] = {}
    for name, leaf in named_leaves(state).items():
        head, found, _ = f"/{name}".partition("/params/")
        if found and "/opt_state" not in head and "/ema" not in head:
            counts[head.strip("/")] = counts.get(head.strip("/"), 0) + math.prod(leaf.shape)
    return counts


def prefixed(groups: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """Metrics of several players or groups in one dictionary, as "group/name"."""
    return {f"{group}/{name}": x for group, found in groups.items() for name, x in found.items()}


def split_batch(batch: PyTree, parts: int) -> PyTree:
    """Splits every leaf `[B, ...]` of a global batch into `[parts, B / parts, ...]`.

    Part i takes the rows i, i + parts, ...: each device keeps the rows that it already has.
    """

    def split(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 1, 0)

    return jax.tree.map(split, batch)


def join_batch(parts: PyTree) -> PyTree:
    """The inverse of `split_batch`: leaves `[parts, B / parts, ...]` back to `[B, ...]`."""

    def join(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])

    return jax.tree.map(join, parts)
