"""The mesh, and how state and batches are laid out on it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from research.core.errors import UserError
from research.core.experiment import PyTree, Rules, Source
from research.core.tree import named_leaves, path_name

AXES = ("data", "fsdp", "model")


def make_mesh(shape: Mapping[str, int], devices: Sequence[Any] | None = None) -> Mesh:
    """Mesh with the axes `data`, `fsdp` and `model`.

    Args:
      shape: length of each axis; -1, for one of them at most, takes all devices that are left.
      devices: defaults to all devices of all processes.

    Raises:
      UserError: the lengths do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = [shape[axis] for axis in AXES]
    given = math.prod(s for s in sizes if s != -1)
    if sizes.count(-1) > 1 or any(s == 0 or s < -1 for s in sizes):
        raise UserError(f"mesh {_show(sizes)}: every axis is a positive number, or -1 for one axis")
    if len(devices) % given or (-1 not in sizes and given != len(devices)):
        raise UserError(
            f"mesh {_show(sizes)} does not match the {len(devices)} devices at hand; "
            "set --config.mesh.data, .fsdp and .model so that their product is the device count"
        )
    sizes = [len(devices) // given if s == -1 else s for s in sizes]
    # On a TPU the order of devices follows the torus; anywhere else, the one they are listed in.
    return jax.make_mesh(sizes, AXES, devices=devices, axis_types=(AxisType.Auto,) * len(AXES))


def _show(sizes: Sequence[int]) -> str:
    return " x ".join(f"{axis}={size}" for axis, size in zip(AXES, sizes, strict=True))


def state_sharding(shapes: PyTree, rules: Rules, mesh: Mesh, soft_rules: Rules = ()) -> PyTree:
    """Sharding of every array of the state: the first rule found in its path, else the first of
    `soft_rules` that the mesh divides it by, else replicated.

    Raises:
      UserError: a rule splits a dimension that its mesh axes do not divide, or that is not there.
    """

    def spec(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        name = path_name(path)
        for pattern, rule in rules:
            if re.search(pattern, name):
                _check_divides(name, leaf.shape, rule, mesh)
                return NamedSharding(mesh, rule)
        fitting = [
            rule
            for pattern, rule in soft_rules
            if re.search(pattern, name)
            and len(rule) <= leaf.ndim
            and _undivided(leaf.shape, rule, mesh) is None
        ]
        return NamedSharding(mesh, fitting[0] if fitting else PartitionSpec())

    return jax.tree_util.tree_map_with_path(spec, shapes)


def _check_divides(name: str, shape: tuple[int, ...], rule: PartitionSpec, mesh: Mesh) -> None:
    if len(rule) > len(shape):
        raise UserError(f"rule {rule} splits {len(rule)} dimensions of {name} {list(shape)}")
    if found := _undivided(shape, rule, mesh):
        size, ways, axes = found
        raise UserError(
            f"{name} {list(shape)}: a dimension of {size} cannot be split {ways} ways over "
            f"mesh axes {axes}; change that size or the mesh"
        )


def _undivided(
    shape: tuple[int, ...], rule: PartitionSpec, mesh: Mesh
) -> tuple[int, int, Any] | None:
    """A dimension that the rule cannot split, in how many ways, over which axes; None if it can."""
    for size, axes in zip(shape, rule, strict=False):
        ways = math.prod(mesh.shape[a] for a in np.atleast_1d(axes)) if axes else 1
        if size % ways:
            return size, ways, axes
    return None


def check_batch(source: Source, mesh: Mesh, micro_batches: int) -> None:
    """Checks that every global batch can be split over the mesh, and into micro-batches.

    Raises:
      UserError: it cannot, or processes would have to share a part of it.
    """
    ways = mesh.shape["data"] * mesh.shape["fsdp"]
    processes = jax.process_count()
    if processes > 1:
        rows = mesh.devices.reshape(ways, -1)
        own = sum(any(d.process_index == jax.process_index() for d in row) for row in rows)
        if own * processes != ways:
            raise UserError(
                f"{processes} processes cannot each have a part of the batch over {ways} devices "
                "(mesh data x fsdp); let --config.mesh.model be at most the "
                f"{jax.local_device_count()} devices of one process"
            )
    parts = ways * micro_batches
    for name, leaf in named_leaves(source.spec).items():
        for size in (leaf.shape[0], *source.row_counts):
            if size % parts:
                raise UserError(
                    f"batch of {size} ({name}) does not divide by {ways} devices (mesh data x "
                    f"fsdp) x {micro_batches} micro-batches of a step; make "
                    f"{source.sized_by} a multiple of {parts}, or change the mesh"
                )
