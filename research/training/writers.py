"""Where numbers go while a run goes on: the terminal, `metrics.jsonl`, TensorBoard."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX import SummaryWriter

from research.core.files import write_text

METRICS = "metrics.jsonl"


class Writers:
    """Progress and metrics of one run. Only process 0 writes.

    Each line of `metrics.jsonl` is `{"step": ..., "seconds": ..., name: number, ...}`. JSON has no
    numbers that are not finite: NaN, for «nothing reported», is null, and so is an infinite one,
    whose name then stands in the list "infinite". The seconds are those of all sessions.

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
    ):
        self.per_step = per_step
        self.num_steps = num_steps
        self.active = jax.process_index() == 0
        self.start = time.monotonic()
        self.earlier = seconds  # of the sessions before this one
        self.lines = 0
        if not self.active:
            return
        self.label = f"{workdir.parent.name}/{workdir.name}"
        self.path = workdir / METRICS
        self.lines = len(keep_until(self.path, start))
        self.file = self.path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(workdir / "tensorboard"), purge_step=start + 1)
        self.first_step = start
        self.mark = (self.start, start)
        self.tty = sys.stderr.isatty()
        if self.tty:
            self.progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[shown]}"),
                console=Console(stderr=True),
            )
            self.progress.start()
            self.task = self.progress.add_task(
                self.label, total=num_steps, completed=start, rate="compiling", shown=""
            )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records metrics of a step everywhere."""
        if not self.active:
            return
        record: dict[str, Any] = {"step": step, "seconds": self.seconds()}
        for unit, amount in self.per_step.items():
            record[unit] = step * amount
        for name, value in metrics.items():
            record[name] = value if math.isfinite(value) else None
            if math.isfinite(value):
                self.board.add_scalar(name, value, step)
            elif math.isinf(value):
                record.setdefault("infinite", []).append(name)
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        self.lines += 1
        self._show(step, metrics)

    def seconds(self) -> float:
        """Seconds that this run has taken, over all sessions."""
        return self.earlier + time.monotonic() - self.start

    def keep(self) -> None:
        """Has the lines on the disk, before a checkpoint counts on them."""
        if self.active:
            os.fsync(self.file.fileno())

    def advance(self, step: int) -> None:
        """Moves the progress bar."""
        if self.active and self.tty:
            self.progress.update(self.task, completed=step)

    def close(self) -> None:
        if not self.active:
            return
        if self.tty:
            self.progress.stop()
        self.file.close()
        self.board.close()

    def _show(self, step: int, metrics: Mapping[str, float]) -> None:
        now = time.monotonic()
        then, since = self.mark
        shown = " ".join(
            f"{name} {value:.4g}"
            for name, value in metrics.items()
            if not math.isnan(value) and not name.startswith("seed_")  # of `seeds`: means are shown
        )
        rate = ""
        if step > since:
            per_second = (step - since) / max(now - then, 1e-9)
            units = {"steps": 1, **self.per_step}
            rate = " ".join(f"{per_second * n:,.4g} {unit}/s" for unit, n in units.items())
            self.mark = (now, step)
        if self.tty:
            fields: dict[str, Any] = {"shown": shown, **({"rate": rate} if rate else {})}
            self.progress.update(self.task, completed=step, **fields)
            return
        done = (step - self.first_step) / max(self.num_steps - self.first_step, 1)
        left = (now - self.start) * (1 - done) / done if done > 0 else math.nan
        eta = f"{left:.0f} s left" if math.isfinite(left) else ""
        text = "  ".join(part for part in (shown, rate, eta) if part)
        print(f"{self.label} {step}/{self.num_steps}  {text}", file=sys.stderr, flush=True)


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
