"""Compiles an experiment's step for a machine that is not there, and says what it would take."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from research.core.errors import UserError
from research.core.experiment import Experiment, PyTree
from research.core.tree import count_parameters, named_leaves
from research.pods import topology
from research.pods.communication import collectives
from research.pods.cost import Buffer, flops, largest_buffers
from research.pods.dry_run_report import Report
from research.pods.roofline import Roofline
from research.training import sharding
from research.training.program import Program

_BUFFERS = 8  # shown when memory does not suffice

Published = int | Mapping[str, int] | None


def dry_run(
    experiment: Experiment,
    topology_name: str,
    mesh_shape: Mapping[str, int],
    *,
    steps_per_call: int = 1,
    published: Published = None,
) -> Report:
    """What one step needs on a slice such as "v5e:4x8".

    Compiles the real step, optimizer and shardings included, from shapes alone: nothing is
    allocated and no data is opened.

    Args:
      experiment: what would be trained.
      topology_name: a chip and the shape of a slice.
      mesh_shape: lengths of the mesh's axes, laid over the slice's chips; see `make_mesh`.
      steps_per_call: steps in a dispatch, whose batches lie on the chips together.
      published: parameter count to compare with, by learner where there are several.

    Raises:
      UserError: no such slice, `libtpu` is not installed, the mesh or batch does not fit the slice,
        or the step has a part that no TPU can run.
    """
    slice_ = topology.load(topology_name)
    mesh = sharding.make_mesh(mesh_shape, slice_.devices)
    source = experiment.source
    if source is not None:
        sharding.check_batch(source, mesh, experiment.micro_batches)
    program = Program(experiment, mesh)
    start = time.monotonic()
    traced = program.trace()
    report = Report(
        topology_name,
        slice_.chip,
        dict(mesh.shape),
        _parameters(program.shapes.state, published),
        flops(traced.jaxpr.jaxpr),
        0.0,
    )
    print(f"compiling for {topology_name}; a large network may take minutes", file=sys.stderr)
    try:
        compiled = _compile(traced, topology_name, {})
    except _OutOfMemory as error:
        return dataclasses.replace(
            report,
            shortage=str(error),
            buffers=_largest_buffers(traced, topology_name),
            seconds=time.monotonic() - start,
        )
    seconds = time.monotonic() - start
    found = compiled.memory_analysis()
    memory = _state_bytes(program)
    batch = 0
    if source is not None:
        batch = _bytes_per_chip(source.spec, program.batch_sharding)
    kept = sum(memory.values()) + batch
    ahead = bool(source and source.prefetch)
    memory["inputs"] = batch * (1 + ahead) * steps_per_call
    memory["activations"] = max(found.peak_memory_in_bytes - kept, 0)
    memory["program"] = found.generated_code_size_in_bytes
    counted = compiled.cost_analysis()
    text = compiled.as_text()
    traffic = collectives(text, dict(mesh.shape))
    each = report.flops / report.chips
    # XLA counts the body of a loop once, for FLOPs and for bytes: both are short by about as much.
    loops = 1.0
    if counted["flops"] > 0 and " while(" in text:
        loops = max(1.0, each / counted["flops"])
    line = Roofline(
        slice_.chip, each, loops * counted["bytes accessed"], sum(t.sent for t in traffic)
    )
    return dataclasses.replace(
        report,
        seconds=seconds,
        memory=memory,
        roofline=line,
        traffic=tuple(traffic),
        xla_flops=counted["flops"],
    )


class _OutOfMemory(Exception):
    pass


def _compile(traced: Any, name: str, options: dict[str, str]) -> Any:
    try:
        with warnings.catch_warnings():
            # A cached program cannot be read back without a device to put it on.
            warnings.filterwarnings("ignore", message="Error reading persistent compilation cache")
            return traced.lower().compile(compiler_options=options)
    except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        if "RESOURCE_EXHAUSTED" in reason:
            need = re.search(r"\(([\d.]+\w)\) exceeds available HBM \(([\d.]+\w)\)", reason)
            text = "needs {}iB of {}iB".format(*need.groups()) if need else reason
            raise _OutOfMemory(text) from None
        calls = sorted(_custom_calls(traced, reason))
        if calls:
            raise UserError(
                f"the step calls {', '.join(calls)}, which runs on the host alone and cannot be "
                f"compiled for {name}; choose an environment written in JAX, or a host actor"
            ) from error
        raise UserError(f"the step does not compile for {name}: {reason}") from error


def _custom_calls(traced: Any, reason: str) -> set[str]:
    """Functions from outside of XLA that the step calls and `reason` complains of."""
    try:
        text = traced.lower().as_text()
    except NotImplementedError:
        text = ""
    targets = re.findall(r"stablehlo\.custom_call @([\w.\-]+)", text)
    return {target for target in targets if target in reason}


def _largest_buffers(traced: Any, name: str) -> tuple[Buffer, ...]:
    """Compiles once more, with XLA's notes on its memory."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _compile(traced, name, {"xla_dump_to": folder})
        except _OutOfMemory:
            return tuple(largest_buffers(Path(folder), _BUFFERS))
    return ()


def _parameters(state: PyTree, published: Published) -> dict[str, tuple[int, int | None]]:
    counts = count_parameters(state)
    expected: dict[str, int] = {}
    if isinstance(published, Mapping):
        expected = dict(published)
    elif published is not None:
        counts, expected = {"": sum(counts.values())}, {"": published}
    return {name: (counts.get(name, 0), expected.get(name)) for name in counts | expected}


def _state_bytes(program: Program) -> dict[str, int]:
    """Bytes on each chip of what is kept from step to step."""
    kept = {"parameters": 0, "optimizer": 0, "other state": 0}
    layout = named_leaves(program.carry_sharding)
    for name, leaf in named_leaves(program.shapes).items():
        kind = "other state"
        if "/opt_state/" in name:
            kind = "optimizer"
        elif "/params/" in name and "/ema/" not in name:
            kind = "parameters"
        kept[kind] += _bytes_per_chip(leaf, layout[name])
    return kept


def _bytes_per_chip(shapes: PyTree, where: jax.sharding.Sharding) -> int:
    return sum(
        math.prod(where.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(shapes)
    )
