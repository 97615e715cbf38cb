"""The folder of a run: one folder for each arm and seed, `result.json`, pictures, claims table."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from research.core import UserError
from research.report.claims import Claim, Paper, Results
from research.report.curves import Curve, draw_curves
from research.report.provenance import Provenance
from research.training.writers import read_metrics

RESULT = "result.json"
Numbers = dict[str, dict[str, dict[str, float]]]  # arm -> seed -> metric -> number


class RunFolder:
    """The folder of a run, with a folder in it for each arm and seed.

    Process 0 writes it; all of them read it.

    Args:
      workdir: the folder; made by `create`, not before.
      paper: name of the script.
      config: what is run.
      variant: of the configuration file, "" for the default.
    """

    def __init__(self, workdir: Path, paper: str, config: Mapping[str, Any], variant: str):
        self.workdir, self.paper, self.variant = workdir, paper, variant
        self.config = config

    def check(self) -> None:
        """Refuses a folder that cannot be written, or that holds another run.

        Raises:
          UserError: it is refused; nothing was written.
        """
        if self.workdir.exists() and not self.workdir.is_dir():
            raise UserError(f"workdir {self.workdir} is not a folder; choose another --workdir")
        parent = next(p for p in [self.workdir, *self.workdir.absolute().parents] if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UserError(f"workdir {self.workdir} is not writable; choose another --workdir")
        path = self.workdir / "config.json"
        if not path.exists():
            if self.workdir.exists() and any(self.workdir.iterdir()):
                raise UserError(
                    f"workdir {self.workdir} holds something else; choose another --workdir"
                )
            return
        before = _read(path)
        after = {"paper": self.paper, "variant": self.variant, **_flat(self.config)}
        differing = [k for k in {**before, **after} if before.get(k) != after.get(k)]
        if differing:
            shown = ", ".join(f"{k} {before.get(k)!r} -> {after.get(k)!r}" for k in differing[:3])
            raise UserError(
                f"workdir {self.workdir} holds a run of another configuration ({shown}); "
                "choose another --workdir"
            )

    def create(self) -> None:
        """Makes the folder and notes in it what runs there."""
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"workdir {self.workdir} cannot be made ({error.strerror}); take another --workdir"
            ) from error
        if jax.process_index() == 0:
            _write(
                self.workdir / "config.json",
                {"paper": self.paper, "variant": self.variant, **_flat(self.config)},
            )

    def folder(self, arm: str, seed: int) -> Path:
        """Makes the folder of one arm and seed; returns its path."""
        path = self.workdir / arm / str(seed)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def has(self, arm: str, seed: int) -> bool:
        """Tells whether that arm and seed has run to its end."""
        return (self.workdir / arm / str(seed) / RESULT).exists()

    def seconds(self, arm: str, seed: int) -> float:
        """Seconds that sessions before this one have trained, by what they noted."""
        return sum(
            seconds_trained(path)
            for path in (self.workdir / arm / str(seed)).glob("**/metrics.jsonl")
        )

    def add(
        self,
        arm: str,
        seed: int,
        numbers: Mapping[str, float],
        seconds: float,
        origin: str,
        provenance: Provenance,
    ) -> None:
        """Notes the final numbers of one arm and seed.

        Args:
          seconds: over all sessions.
          origin: which data was used, "" where it is made inside the step.
          provenance: of the session that ended it.
        """
        if jax.process_index() == 0:
            _write(
                self.folder(arm, seed) / RESULT,
                {
                    "metrics": {k: float(v) for k, v in numbers.items()},
                    "seconds": seconds,
                    "data": origin,
                    "commit": provenance.commit,
                    "clean": provenance.clean,
                },
            )

    def read(self, arms: Iterable[str], seeds: Iterable[int]) -> Numbers:
        """Reads the final numbers of the arms of which every seed has ended."""
        if jax.process_count() > 1:  # process 0 has written them all
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices("results")
        seeds = list(seeds)
        return {
            arm: {str(s): _read(self.workdir / arm / str(s) / RESULT)["metrics"] for s in seeds}
            for arm in arms
            if all(self.has(arm, s) for s in seeds)
        }

    def write(self, claims: list[Claim], provenance: Provenance, tried: Mapping[str, str]) -> None:
        """Writes the `result.json` of the whole run.

        Its arms may have been run at several commits; "commit" then has them all.

        Args:
          claims: as judged.
          provenance: of this session.
          tried: settings that were tried for an arm, by its name; kept of the arms that ran.
        """
        arms: Numbers = {}
        data: dict[str, str] = {}
        runs = []
        for path in sorted(self.workdir.glob(f"*/*/{RESULT}")):
            runs.append(_read(path))
            arm, seed = path.parent.parent.name, path.parent.name
            arms.setdefault(arm, {})[seed] = runs[-1]["metrics"]
            data[arm] = runs[-1].get("data", "")
        _write(
            self.workdir / RESULT,
            {
                "paper": self.paper,
                "config": self.config,
                "variant": self.variant,
                "arms": arms,
                "claims": [dataclasses.asdict(claim) for claim in claims],
                "tried": {arm: text for arm, text in tried.items() if arm in arms},
                "data": data,
                "seconds": sum(run["seconds"] for run in runs),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                **dataclasses.asdict(provenance),
                "commit": " ".join(
                    dict.fromkeys(filter(None, (run.get("commit") for run in runs)))
                ),
                "clean": all(run.get("clean", False) for run in runs),
            },
        )

    def draw(self, paper: Paper) -> None:
        """Draws the learning curves of all arms and seeds, a PNG for each metric of the paper's."""
        curves = read_curves(self.workdir, paper)
        for metric, arms in curves.items():
            path = self.workdir / f"{metric.replace('/', '_')}.png"
            draw_curves(path, arms, title=paper.title, x=paper.x, y=metric)


def seconds_trained(path: Path) -> float:
    """Seconds that a `metrics.jsonl` tells of, whose clock every session starts anew."""
    total = before = 0.0
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            seconds = json.loads(line)["seconds"]
        except ValueError:  # the run was killed while it wrote this line
            continue
        total += seconds - (before if seconds >= before else 0.0)
        before = seconds
    return total


def read_curves(workdir: Path, paper: Paper) -> dict[str, dict[str, list[Curve]]]:
    """Reads the learning curves in a run's folder: metric -> arm -> one curve for each seed."""
    curves: dict[str, dict[str, list[Curve]]] = {}
    for folder in sorted(path.parent for path in workdir.glob("*/*/metrics.jsonl")):
        records = read_metrics(folder)
        for metric in paper.curves:
            points = [(r[paper.x], r[metric]) for r in records if r.get(metric) is not None]
            if points:
                xs, ys = zip(*points, strict=True)
                curves.setdefault(metric, {}).setdefault(folder.parent.name, []).append((xs, ys))
    return curves


def by_metric(numbers: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Results:
    """Final numbers as claims ask for them; a metric that some seed lacks is left out."""
    arms = {
        arm: {
            metric: np.array([run[metric] for run in seeds.values()])
            for metric in next(iter(seeds.values()))
            if all(metric in run for run in seeds.values())
        }
        for arm, seeds in numbers.items()
    }
    return Results(arms)


def print_claims(paper: Paper, claims: list[Claim]) -> None:
    """Prints the table «claim, paper, ours, holds?»."""
    if not claims:
        return
    table = Table(title=paper.title, show_lines=True)
    for column in ("claim", "paper", "ours", "holds?"):
        table.add_column(column)
    for claim in claims:
        holds = {True: "yes", False: "NO", None: "not checked"}[claim.holds]
        table.add_row(claim.claim, claim.paper, claim.ours, holds)
    Console().print(table)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        flat.update(_flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return flat


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.rename(path)
