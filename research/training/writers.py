"""Where numbers go while a run goes on: the terminal, `metrics.jsonl`, and `sinks`."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from research.core.files import write_text
from research.training.progress import Progress
from research.training.sinks import RunInfo, Sink, make

METRICS = "metrics.jsonl"


class Writers:
    """Progress and metrics of one run. Only process 0 writes.

    Each line of `metrics.jsonl` is `{"step": ..., "seconds": ..., name: number, ...}`. JSON has no
    numbers that are not finite: NaN, for «nothing reported», is null, and so is an infinite one,
    whose name then stands in the list "infinite". The seconds are those of all sessions.

    Args:
      workdir: folder of the training.
      start: step that it begins at.
      num_steps: steps in all.
      per_step: what one step consumes, by unit.
      seconds: of the sessions before this one.
      names: of the sinks.
      axis: of TensorBoard.
      config: the configuration, as plain values, for the sinks.

    Attributes:
      lines: how many there are.
    """

    def __init__(
        self,
        workdir: Path,
        start: int,
        num_steps: int,
        per_step: Mapping[str, int],
        seconds: float = 0.0,
        *,
        names: Sequence[str] = ("tensorboard",),
        axis: str = "step",
        config: Mapping[str, Any] | None = None,
    ):
        self.per_step = per_step
        self.active = jax.process_index() == 0
        self.start = time.monotonic()
        self.earlier = seconds  # of the sessions before this one
        self.lines = 0
        if not self.active:
            return
        self.path = workdir / METRICS
        self.lines = len(keep_until(self.path, start))
        self.file = self.path.open("a", encoding="utf-8")
        self.sinks: list[Sink] = make(names, axis, RunInfo(workdir, config or {}, start, per_step))
        self._mark: tuple[float, int] | None = None  # time and step of the last metrics
        self.progress = Progress(workdir, start, num_steps, per_step)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records metrics of a step everywhere."""
        if not self.active:
            return
        record: dict[str, Any] = {"step": step, "seconds": self.seconds()}
        for unit, amount in self.per_step.items():
            record[unit] = step * amount
        for name, value in metrics.items():
            record[name] = value if math.isfinite(value) else None
            if math.isinf(value):
                record.setdefault("infinite", []).append(name)
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        self.lines += 1
        self.progress.show(step, metrics)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        finite |= self._throughput(step)
        for sink in self.sinks:
            sink.write(step, finite)

    def _throughput(self, step: int) -> dict[str, float]:
        """Steps, and what they consume, a second since the last metrics; {} for the first."""
        now, before = time.monotonic(), self._mark
        if before is None or step > before[1]:
            self._mark = now, step
        if before is None or step == before[1]:
            return {}
        rate = (step - before[1]) / max(now - before[0], 1e-9)
        units = {unit: rate * amount for unit, amount in self.per_step.items()}
        return {f"throughput/{u}_per_second": r for u, r in {"steps": rate, **units}.items()}

    def seconds(self) -> float:
        """Seconds that this run has taken, over all sessions."""
        return self.earlier + time.monotonic() - self.start

    def keep(self) -> None:
        """Has the lines on the disk, before a checkpoint counts on them."""
        if self.active:
            os.fsync(self.file.fileno())

    def advance(self, step: int) -> None:
        """Moves the progress bar."""
        if self.active:
            self.progress.advance(step)

    def close(self) -> None:
        if not self.active:
            return
        self.progress.close()
        self.file.close()
        for sink in self.sinks:
            sink.close()


def keep_until(path: Path, step: int) -> list[dict[str, Any]]:
    """Drops lines of a metrics file that are past `step`: a resumed run will write them again.

    Returns:
      The records of those that stay.
    """
    text = _read(path)
    kept = [(line, record) for line, record in _records(text) if record["step"] <= step]
    new = "".join(f"{line}\n" for line, _ in kept)
    if new != text:
        write_text(path, new)
    return [record for _, record in kept]


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The records of a run's `metrics.jsonl`, [] when it has none; damaged lines are passed over.

    Each has a number "step".
    """
    return [record for _, record in _records(_read(workdir / METRICS))]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _records(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Lines with what they say, but for those that are no record, such as one half written."""
    found = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), (int, float)):
            found.append((line, record))
    return found
