"""What a program costs: its arithmetic, its communication, its largest buffers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

_SHAPE = re.compile(r"\b(pred|[a-z]+\d+)(?:e\dm\d\w*)?\[([\d,]*)\]")
_COLLECTIVE = re.compile(
    r"^\s+(?:ROOT )?%?(\S+) = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|"
    r"ragged-all-to-all|collective-permute|collective-broadcast)(?:-start)?\("
)
_CALLED = re.compile(
    r"\b(?:calls|to_apply|body|branch_computations|called_computations)="
    r"(?:%?([\w.\-]+)|\{([^}]*)\})"
)


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


@dataclasses.dataclass
class Traffic:
    """Collectives of one type: how many run in a step, and the bytes of what they produce.

    `bytes` are of the whole array that takes part as one chip sees it: what all-gather gives,
    all-reduce sums, reduce-scatter takes. How much of it crosses a link depends on the algorithm.
    """

    count: int = 0
    bytes: int = 0
    largest: int = 0


def collectives(text: str) -> dict[str, Traffic]:
    """Communication of one step, by type, from a compiled program's text.

    A collective in a loop counts as often as the loop runs, or once where only the run tells.
    """
    bodies = _computations(text)
    times = _times(bodies)
    # An asynchronous collective is written out in its start, in what overlaps it and in its end.
    started = {
        match.group(1)
        for lines in bodies.values()
        if any('"AsyncCollectiveStart"' in line for line in lines)
        for line in lines
        if _COLLECTIVE.match(line) and (match := re.search(r"channel_id=(\d+)", line))
    }
    found: dict[str, Traffic] = {}
    for name, lines in bodies.items():
        starts = any('"AsyncCollectiveStart"' in line for line in lines)
        for line in lines:
            match = _COLLECTIVE.match(line)
            if match is None or name not in times:
                continue
            channel = re.search(r"channel_id=(\d+)", line)
            if channel and channel.group(1) in started and not starts:
                continue
            kind = "reduce-scatter" if name.startswith("all-reduce-scatter") else match.group(3)
            traffic = found.setdefault(kind, Traffic())
            size = _bytes(match.group(2), kind)
            traffic.count += times[name]
            traffic.bytes += times[name] * size
            traffic.largest = max(traffic.largest, size)
    return dict(sorted(found.items()))


def _computations(text: str) -> dict[str, list[str]]:
    bodies: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        match = re.match(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$", line)
        if match:
            current = bodies.setdefault("ENTRY" if match.group(1) else match.group(2), [])
        else:
            current.append(line)
    return bodies


def _times(bodies: dict[str, list[str]]) -> dict[str, int]:
    """How often each computation runs in one step."""
    times: dict[str, int] = {}

    def visit(name: str, n: int) -> None:
        times[name] = times.get(name, 0) + n
        for line in bodies.get(name, []):
            loop = re.search(r"condition=%?([\w.\-]+)", line)
            trips = _trips(line, bodies.get(loop.group(1), [])) if loop else 1
            for one, several in _CALLED.findall(line):
                for called in re.findall(r"[\w.\-]+", one or several):
                    visit(called, n * trips)

    visit("ENTRY", 1)
    return times


def _trips(line: str, condition: list[str]) -> int:
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
    if known:
        return int(known.group(1))
    text = "\n".join(condition)
    compare = re.search(r"ROOT \S+ = pred\[\]\S* compare\(\S+ %?([\w.\-]+)\), direction=LT", text)
    if compare:
        limit = re.search(rf"%?{re.escape(compare.group(1))} = \S+ constant\((\d+)\)", text)
        if limit:
            return int(limit.group(1))
    return 1


def _bytes(shapes: str, kind: str) -> int:
    sizes = [_size(dtype, dims) for dtype, dims in _SHAPE.findall(shapes)]
    # A start of another type than all-reduce gives operand and result: the larger one is meant.
    return sum(sizes) if kind in ("all-reduce", "reduce-scatter") else max(sizes)


def _size(dtype: str, dims: str) -> int:
    bits = 8 if dtype == "pred" else int(re.sub(r"\D", "", dtype))
    return math.prod(int(d) for d in dims.split(",") if d) * bits // 8


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
