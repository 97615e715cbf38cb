"""How long a step takes by what it computes, reads and sends."""

from __future__ import annotations

import dataclasses

from research.pods.topology import Chip


@dataclasses.dataclass(frozen=True)
class Roofline:
    """An estimate of the time of a step.

    Compute, memory and network work at their peaks and at the same time, so that the slowest of the
    three decides. Nothing else takes time: elementwise work, waiting, the host. Memory traffic is
    XLA's count, each operand of each fused operation, which is too much where one stays on chip.

    Attributes:
      chip: whose peaks they are.
      flops: of matrix products and convolutions, on each chip.
      hbm_bytes: read and written, on each chip.
      sent_bytes: by each chip, with its collectives as rings.
    """

    chip: Chip
    flops: float
    hbm_bytes: float
    sent_bytes: float

    @property
    def parts(self) -> dict[str, float]:
        """Seconds of each."""
        return {
            "compute": self.flops / self.chip.flops,
            "memory": self.hbm_bytes / self.chip.hbm_bandwidth,
            "network": self.sent_bytes / self.chip.link_bandwidth,
        }

    @property
    def seconds(self) -> float:
        return max(self.parts.values())

    @property
    def bound(self) -> str:
        """Which part decides."""
        return max(self.parts, key=lambda name: self.parts[name])

    @property
    def utilization(self) -> float:
        """Share of the chip's peak that is reached then (MFU)."""
        return self.parts["compute"] / self.seconds if self.seconds else 0.0

    @property
    def intensity(self) -> float:
        """FLOPs for each byte of memory traffic."""
        return self.flops / self.hbm_bytes if self.hbm_bytes else 0.0

    @property
    def assumptions(self) -> str:
        c = self.chip
        return (
            f"{c.flops / 1e12:.0f} TFLOP/s, {c.hbm_bandwidth / 1e9:.0f} GB/s of memory, "
            f"{c.link_bandwidth / 1e9:.0f} GB/s sent, each at its peak, all at the same time; "
            "memory traffic as XLA counts operands; collectives as rings; nothing else takes time"
        )
