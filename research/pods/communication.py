"""What a compiled program sends between devices: collectives by type and by mesh axis."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

_SHAPE = re.compile(r"\b(pred|[a-z]+\d+)(?:e\dm\d\w*)?\[([\d,]*)\]")
_COLLECTIVE = re.compile(
    r"^\s+(?:ROOT )?%?(\S+) = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|"
    r"ragged-all-to-all|collective-permute|collective-broadcast)(?:-start)?\("
)
_CALLED = re.compile(
    r"\b(?:calls|to_apply|body|branch_computations|called_computations)="
    r"(?:%?([\w.\-]+)|\{([^}]*)\})"
)

Groups = list[tuple[int, ...]]  # devices that exchange something, by their place in the mesh


@dataclasses.dataclass
class Traffic:
    """Collectives of one type over one axis, in one step.

    Attributes:
      kind: such as "all-reduce".
      axis: of the mesh, "data x fsdp" for two together; "?" where the devices are along no axis.
      devices: that exchange something with each other.
      count: how many run.
      bytes: of the whole arrays that take part as one device sees them: what all-gather gives,
        all-reduce sums, reduce-scatter takes.
      sent: of them, what each device sends to a neighbour when they go round a ring.
      sizes: how many there are of each size in bytes.
    """

    kind: str
    axis: str
    devices: int
    count: int = 0
    bytes: int = 0
    sent: float = 0.0
    sizes: Counter[int] = dataclasses.field(default_factory=Counter)


def collectives(text: str, mesh: Mapping[str, int]) -> list[Traffic]:
    """Communication of one step from a compiled program's text.

    A collective in a loop counts as often as the loop runs, or once where only the run tells.

    Args:
      text: from `compiled.as_text()`.
      mesh: length of each axis, in order.
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
    found: dict[tuple[str, str], Traffic] = {}
    for name, lines in bodies.items():
        starts = any('"AsyncCollectiveStart"' in line for line in lines)
        for line in lines:
            match = _COLLECTIVE.match(line)
            if match is None or name not in times:
                continue
            channel = re.search(r"channel_id=(\d+)", line)
            if channel and channel.group(1) in started and not starts:
                continue
            kind = match.group(3)
            groups = _groups(line, math.prod(mesh.values()))
            devices = max(map(len, groups))
            # What a TPU calls so is a sum of the whole of which each keeps a part.
            scatters = name.startswith("all-reduce-scatter")
            size = _bytes(match.group(2), kind) * (devices if kind == "reduce-scatter" else 1)
            kind = "reduce-scatter" if scatters else kind
            axis = _axis(groups, mesh)
            traffic = found.setdefault((kind, axis), Traffic(kind, axis, devices))
            traffic.count += times[name]
            traffic.bytes += times[name] * size
            traffic.sent += times[name] * size * _share_sent(kind, devices)
            traffic.sizes[size] += times[name]
    return [found[key] for key in sorted(found)]


def _share_sent(kind: str, devices: int) -> float:
    """The share of an array that each device sends to a neighbour when it goes round a ring."""
    if kind in ("collective-permute", "collective-broadcast"):
        return 1.0
    return (2 if kind == "all-reduce" else 1) * (devices - 1) / devices


def _groups(line: str, devices: int) -> Groups:
    """Which devices a collective is among; of a permutation, its pairs."""
    listed = re.search(r"(?:replica_groups|source_target_pairs)=\{(\{[\d,{}]*\})\}", line)
    if listed:
        return [tuple(map(int, g.split(","))) for g in re.findall(r"\{([\d,]+)\}", listed.group(1))]
    iota = re.search(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", line)
    if iota is None:
        return [tuple(range(devices))]
    shape, source, order = (
        [int(n) for n in part.split(",")] if part else [] for part in iota.groups()
    )
    ids = np.arange(math.prod(source)).reshape(source)
    return [tuple(g) for g in ids.transpose(order or None).reshape(shape[0], -1).tolist()]


def _axis(groups: Groups, mesh: Mapping[str, int]) -> str:
    """The fewest mesh axes along which all groups lie."""
    ids = np.arange(math.prod(mesh.values())).reshape(tuple(mesh.values()))
    long = [i for i, size in enumerate(mesh.values()) if size > 1]
    for count in range(len(long) + 1):
        for chosen in itertools.combinations(long, count):
            rest = [i for i in range(len(mesh)) if i not in chosen]
            # The line, plane ... of the mesh that each device is in.
            moved = ids.transpose([*rest, *chosen]).reshape(
                -1, math.prod(ids.shape[i] for i in chosen)
            )
            place = {device: line for line, row in enumerate(moved.tolist()) for device in row}
            if all(len({place.get(device) for device in group}) == 1 for group in groups):
                return " x ".join(list(mesh)[i] for i in chosen) or "none"
    return "?"


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
