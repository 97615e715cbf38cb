"""Compiles an experiment's step for a TPU slice that is not there, and says what it would take."""

from __future__ import annotations

import math
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from research.training import sharding, topology
from research.training.cost import Traffic, collectives, flops, largest_buffers
from research.training.errors import UserError
from research.training.experiment import Experiment, PyTree
from research.training.program import Program

_BUFFERS = 8  # shown when memory does not suffice

Published = int | Mapping[str, int] | None


def dry_run(
    experiment: Experiment, config: ConfigDict, topology_name: str, published: Published
) -> bool:
    """Prints what one step needs on a slice such as "v5e:4x8", and whether it fits.

    Compiles the real step, optimizer and shardings included, from shapes alone: nothing is
    allocated and no data is opened.

    Args:
      experiment: what would be trained.
      config: its configuration; `config.mesh` is laid over the slice's chips.
      topology_name: a chip and the shape of a slice.
      published: parameter count to compare with, by learner where there are several.

    Raises:
      UserError: no such slice, `libtpu` is not installed, the mesh or batch does not fit the slice,
        or the step has a part that no TPU can run.
    """
    slice_ = topology.load(topology_name)
    mesh = sharding.make_mesh(config.mesh, slice_.devices)
    source = experiment.source
    if source is not None:
        sharding.check_batch(source.spec, mesh, config.accumulate_steps)
    program = Program(experiment, mesh)
    axes = " x ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
    _row("slice", f"{topology_name}: {len(slice_.devices)} chips as {axes}")
    for row in _parameters(program.shapes.state, published):
        _row(*row)

    print("compiling; a large network may take minutes", file=sys.stderr)
    start = time.monotonic()
    traced = program.trace()
    operations = flops(traced.jaxpr.jaxpr)
    with tempfile.TemporaryDirectory() as folder:
        try:
            compiled = _compile(traced, topology_name, {})
        except _OutOfMemory as error:
            _row("FLOPs per step", _operations(operations, len(slice_.devices)))
            _row("verdict", f"DOES NOT FIT: {error}; largest buffers of a chip:")
            _show_buffers(traced, topology_name, Path(folder))
            return False
    seconds = time.monotonic() - start
    memory = compiled.memory_analysis()
    state = _bytes_per_chip(program.shapes, program.carry_sharding)
    batch, ahead = 0, 0
    if source is not None:
        batch = _bytes_per_chip(source.spec, program.batch_sharding)
        ahead = batch * ((1 + bool(source.prefetch)) * config.steps_per_call - 1)
    code = memory.generated_code_size_in_bytes
    need = memory.peak_memory_in_bytes + code + ahead
    fits = need <= slice_.chip.hbm
    _row("memory of a chip", f"{_size(need)} of {_size(slice_.chip.hbm)}")
    _row("  state", f"{_size(state)}  (parameters, optimizer, all that is kept from step to step)")
    _row("  batches", f"{_size(batch + ahead)}  (with those read ahead)")
    _row("  working", f"{_size(need - code - state - batch - ahead)}  (activations, gradients)")
    _row("  program", _size(code))
    _row("FLOPs per step", _operations(operations, len(slice_.devices)))
    counted = compiled.cost_analysis()["flops"]
    _row("", f"{counted:.4g} on each chip as XLA counts: elementwise too, loop bodies once")
    for row in _communication(collectives(compiled.as_text())):
        _row(*row)
    _row("compile time", f"{seconds:.1f} s")
    _row("verdict", "fits" if fits else "DOES NOT FIT with the batches that are read ahead")
    return fits


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


def _show_buffers(traced: Any, name: str, folder: Path) -> None:
    """Compiles once more, with XLA's notes on its memory written to `folder`."""
    try:
        _compile(traced, name, {"xla_dump_to": str(folder)})
    except _OutOfMemory:
        for buffer in largest_buffers(folder, _BUFFERS):
            print(f"  {_size(buffer.bytes):>10}  {buffer.shape:<28} {buffer.origin}")


def _parameters(state: PyTree, published: Published) -> Iterator[tuple[str, str]]:
    counts = sharding.count_parameters(state)
    expected: dict[str, int] = {}
    if isinstance(published, Mapping):
        expected = dict(published)
    elif published is not None:
        counts, expected = {"": sum(counts.values())}, {"": published}
    for learner in counts | expected:
        count, known = counts.get(learner, 0), expected.get(learner)
        text = f"{count:,}"
        if known is not None:
            same = "equal" if known == count else f"DIFFERS by {count - known:+,}"
            text += f"  (published {known:,}: {same})"
        yield f"parameters {learner}".strip(), text


def _communication(found: dict[str, Traffic]) -> Iterator[tuple[str, str]]:
    if not found:
        yield "collectives", "none"
    for kind, traffic in found.items():
        yield kind, f"{traffic.count} in a step, {_size(traffic.bytes)} on each chip"


def _operations(count: float, chips: int) -> str:
    return f"{count:.4g} of matrix products and convolutions, {count / chips:.4g} on each chip"


def _bytes_per_chip(shapes: PyTree, layout: Any) -> int:
    if not isinstance(layout, jax.sharding.Sharding):
        parts = zip(jax.tree.leaves(shapes), jax.tree.leaves(layout), strict=True)
        return sum(_bytes_per_chip(leaf, where) for leaf, where in parts)
    return sum(
        math.prod(layout.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(shapes)
    )


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def _row(name: str, text: str) -> None:
    print(f"{name:<20} {text}", flush=True)
