"""What a program costs: its arithmetic, its largest buffers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr


def flops(jaxpr: Jaxpr) -> float:
    """Floating-point operations of all matrix products and convolutions in a traced program.

    Of all devices together; recomputation counts, padding counts, elementwise work does not. The
    body of a loop counts as often as it runs, once where that is known only at run time; of a
    branch, the most expensive side.
    """
    total = 0.0
    eqn: Any
    for eqn in jaxpr.eqns:
        name, params = eqn.primitive.name, eqn.params
        if name == "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            shape = eqn.invars[0].aval.shape
            depth = math.prod(shape[axis] for axis in contracted)
            total += 2.0 * math.prod(eqn.outvars[0].aval.shape) * depth
        elif name == "conv_general_dilated":
            kernel, spec = eqn.invars[1].aval.shape, params["dimension_numbers"].rhs_spec
            depth = math.prod(kernel[axis] for axis in spec[1:])  # input features, window
            # Between the rows that lhs_dilation spreads out lie zeros, which are skipped.
            depth /= math.prod(params["lhs_dilation"])
            total += 2.0 * math.prod(eqn.outvars[0].aval.shape) * depth
        elif name == "cond":
            total += max(flops(branch.jaxpr) for branch in params["branches"])
        else:
            times = params["length"] if name == "scan" else 1
            if name == "shard_map":  # traced for one device
                times = params["mesh"].size
            total += times * sum(flops(inner) for inner in _inner(params))
    return total


def _inner(params: dict[str, Any]) -> Iterator[Jaxpr]:
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else [value]:
            if isinstance(item, ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, Jaxpr):
                yield item


@dataclasses.dataclass(frozen=True)
class Buffer:
    """A piece of a chip's memory: its bytes, the array in it and where that comes from."""

    bytes: int
    shape: str
    origin: str


def largest_buffers(folder: Path, most: int) -> list[Buffer]:
    """The largest buffers of the program that XLA was told to dump into `folder`."""
    (assignment,) = folder.glob("*after_optimizations-buffer-assignment.txt")
    (program,) = folder.glob("*after_optimizations-buffer-assignment-values.txt")
    origins: dict[str, str] = dict(
        re.findall(
            r"from instruction: (?:ROOT )?%?(\S+) = .*?op_name=\"([^\"]*)\"",
            program.read_text(encoding="utf-8"),
        )
    )
    found: dict[tuple[str, int], Buffer] = {}
    allocation = ""
    for line in assignment.read_text(encoding="utf-8").splitlines():
        if line.startswith("allocation"):
            allocation = line.split(":")[0]
        value = re.match(r" value: <\d+ (\S+) @0> \(size=(\d+),offset=(\d+)\): ([^({]*)", line)
        if value is None or "S(" in line:  # of the chip's own fast memory
            continue
        name, size, offset, shape = value.groups()
        place = allocation, int(offset)
        origin = origins.get(name.partition("{")[0], name)
        if place not in found or found[place].bytes < int(size):
            found[place] = Buffer(int(size), shape, origin.replace("\\'", "'"))
    return sorted(found.values(), key=lambda buffer: -buffer.bytes)[:most]
