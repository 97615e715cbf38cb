"""Where numbers go while a run goes on: the terminal, `metrics.jsonl`, TensorBoard."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX import SummaryWriter

METRICS = "metrics.jsonl"


class Writers:
    """Progress and metrics of one run. Only process 0 writes.

    Each line of `metrics.jsonl` is `{"step": ..., "seconds": ..., name: number, ...}`. JSON has no
    numbers that are not finite: NaN, for «nothing reported», is null, and so is an infinite one,
    whose name then stands in the list "infinite".
    """

    def __init__(
        self,
        workdir: Path,
        start: int,
        num_steps: int,
        per_step: Mapping[str, int],
    ):
        self.per_step = per_step
        self.num_steps = num_steps
        self.active = jax.process_index() == 0
        if not self.active:
            return
        self.label = f"{workdir.parent.name}/{workdir.name}"
        self.path = workdir / METRICS
        keep_until(self.path, start)
        self.file = self.path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(workdir / "tensorboard"), purge_step=start + 1)
        self.start = time.monotonic()
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
        record: dict[str, Any] = {"step": step, "seconds": time.monotonic() - self.start}
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
        self._show(step, metrics)

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


def keep_until(path: Path, step: int) -> None:
    """Drops lines of a metrics file that are past `step`: a resumed run will write them again."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    kept = []
    for line in text.splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:  # the run was killed while it wrote this line
            continue
    if "".join(kept) != text:
        new = path.with_suffix(".new")  # put in place at once: a run may be killed here too
        new.write_text("".join(kept), encoding="utf-8")
        new.replace(path)


def read_metrics(workdir: Path) -> list[dict[str, float]]:
    """The records of a run's `metrics.jsonl`, [] when it has none."""
    path = workdir / METRICS
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
