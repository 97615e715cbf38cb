"""What a dry run found out: `Report`, and how it reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

from research.pods import topology
from research.pods.communication import Traffic
from research.pods.cost import Buffer
from research.pods.roofline import Roofline

_NOTES = {
    "other state": "  (averages, statistics, environments, replay: all else that is kept)",
    "inputs": "  (with those read ahead)",
    "activations": "  (and gradients: what a step needs while it runs)",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """What one step needs on a slice.

    Attributes:
      slice: its name.
      chip: of which it is made.
      mesh: length of each axis.
      parameters: by learner, ("" for one): how many there are, how many are published or None.
      flops: of matrix products and convolutions, of all chips together.
      seconds: that compiling took.
      memory: bytes of a chip by what they are for; empty where it does not suffice.
      roofline, traffic: None and empty where memory does not suffice.
      xla_flops: of a chip as XLA counts: elementwise too, loop bodies once.
      shortage: of memory, in words.
      buffers: the largest, where it does not suffice.
    """

    slice: str
    chip: topology.Chip
    mesh: Mapping[str, int]
    parameters: Mapping[str, tuple[int, int | None]]
    flops: float
    seconds: float
    memory: Mapping[str, int] = dataclasses.field(default_factory=dict)
    roofline: Roofline | None = None
    traffic: tuple[Traffic, ...] = ()
    xla_flops: float = 0.0
    shortage: str = ""
    buffers: tuple[Buffer, ...] = ()

    @property
    def chips(self) -> int:
        return math.prod(self.mesh.values())

    @property
    def fits(self) -> bool:
        return not self.shortage and sum(self.memory.values()) <= self.chip.hbm

    def rows(self) -> Iterator[tuple[str, str]]:
        """The report as names and texts."""
        axes = " x ".join(f"{axis} {size}" for axis, size in self.mesh.items())
        yield "slice", f"{self.slice}: {self.chips} chips as {axes}"
        if self.slice.startswith(topology.GPU):
            yield "", "H100 of 80 GB; compiled for CPU devices, so memory and bytes are estimates"
        for learner, (count, known) in self.parameters.items():
            text = f"{count:,}"
            if known is not None:
                same = "equal" if known == count else f"DIFFERS by {count - known:+,}"
                text += f"  (published {known:,}: {same})"
            yield f"parameters {learner}".strip(), text
        if not self.shortage:
            need = sum(self.memory.values())
            yield "memory of a chip", f"{size(need)} of {size(self.chip.hbm)}"
            for name, count in self.memory.items():
                yield f"  {name}", size(count) + _NOTES.get(name, "")
        each = self.flops / self.chips
        yield (
            "FLOPs per step",
            (f"{self.flops:.4g} of matrix products and convolutions, {each:.4g} on each chip"),
        )
        if self.shortage:
            yield "verdict", f"DOES NOT FIT: {self.shortage}; largest buffers of a chip:"
            return
        assert self.roofline is not None
        yield "", f"{self.xla_flops:.4g} on each chip as XLA counts: elementwise too, loops once"
        if not self.traffic:
            yield "collectives", "none"
        for t in self.traffic:
            yield (
                t.kind,
                (
                    f"{t.count} over {t.axis} ({t.devices} chips), {size(t.bytes)}; "
                    f"{size(t.sent)} sent by each chip"
                ),
            )
        line = self.roofline
        yield (
            "memory traffic",
            (f"{size(line.hbm_bytes)} of a chip, {line.intensity:.4g} FLOPs for a byte"),
        )
        parts = ", ".join(f"{name} {1e3 * part:.4g}" for name, part in line.parts.items())
        yield (
            "time of a step",
            (
                f"about {1e3 * line.seconds:.4g} ms, the most of {parts}; "
                f"MFU {100 * line.utilization:.2g} %"
            ),
        )
        yield "", f"assuming {line.assumptions}"
        yield "compile time", f"{self.seconds:.1f} s"
        short = "DOES NOT FIT with the batches that are read ahead"
        yield "verdict", "fits" if self.fits else short


def show(report: Report) -> None:
    """Prints a report."""
    for name, text in report.rows():
        print(f"{name:<20} {text}")
    for buffer in report.buffers:
        print(f"  {size(buffer.bytes):>10}  {buffer.shape:<28} {buffer.origin}")


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"
