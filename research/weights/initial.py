"""Weights from elsewhere as the beginning of a run (`--config.init_from`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from research.core.errors import UserError
from research.core.experiment import PyTree
from research.core.tree import named_leaves, path_name
from research.weights.selection import is_weight

log = logging.getLogger("landmarks")

_SHOWN = 3  # names in a message


def fitting(shapes: PyTree, arrays: Mapping[str, Any]) -> dict[str, str]:
    """Which array begins as which: name in the state -> name among `arrays`.

    An array fits where name and shape are the same. A moving average begins as its parameters do,
    where `arrays` has no average.

    Args:
      shapes: of a state.
      arrays: by path in the state that they come from.
    """
    found = {}
    for name, leaf in named_leaves(shapes).items():
        if not is_weight(name):
            continue
        for source in (name, name.replace("ema/params/", "params/")):
            if source in arrays and tuple(arrays[source].shape) == tuple(leaf.shape):
                found[name] = source
                break
    return found


def check(shapes: PyTree, arrays: Mapping[str, Any], origin: str) -> None:
    """Refuses weights of which none fits.

    Args:
      shapes: of the state that they are to begin.
      arrays: by path.
      origin: where they come from, for the message.

    Raises:
      UserError: none fits.
    """
    if fitting(shapes, arrays):
        return
    ours = {name: leaf for name, leaf in named_leaves(shapes).items() if is_weight(name)}
    raise UserError(
        f"init_from: nothing in {origin} fits this run; it has {_few(arrays)}, this run "
        f"{_few(ours)}"
    )


def begin_with(
    state: PyTree, sharding: PyTree, arrays: Mapping[str, np.ndarray], origin: str
) -> PyTree:
    """A first state with the weights that fit in place of its own; says which these are.

    Args:
      state: from `Experiment.init`.
      sharding: its layout.
      arrays: by path, whole in every process.
      origin: where they come from, for the log.
    """
    taken = fitting(state, arrays)

    def leaf(path: tuple[Any, ...], own: jax.Array, where: Any) -> jax.Array:
        name = path_name(path)
        if name not in taken:
            return own
        value = np.asarray(arrays[taken[name]]).astype(own.dtype)
        return jax.make_array_from_callback(own.shape, where, lambda index: value[index])

    begun = jax.tree_util.tree_map_with_path(leaf, state, sharding)
    ours = {name: x for name, x in named_leaves(state).items() if is_weight(name)}
    fresh = {name: x for name, x in ours.items() if name not in taken}
    unused = {name: x for name, x in arrays.items() if name not in taken.values()}
    log.info("init_from %s: %d arrays are taken, %s", origin, len(taken), _few(taken))
    if fresh:
        log.info("init_from: %d begin as they are drawn, %s", len(fresh), _few(fresh))
    if unused:
        log.info("init_from: %d are not used, %s", len(unused), _few(unused))
    return begun


def _few(arrays: Mapping[str, Any]) -> str:
    """The first few names, with their shapes where they have one."""
    words = []
    for name, value in list(arrays.items())[:_SHOWN]:
        shape = getattr(value, "shape", None)
        words.append(name if shape is None else f"{name} {list(shape)}")
    more = f", ... ({len(arrays)} in all)" if len(arrays) > _SHOWN else ""
    return (", ".join(words) or "no weights") + more
