"""The folder of a run: one folder for each arm and seed, `result.json`, pictures, claims table."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fnmatch
import functools
import json
import logging
import math
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from research.core import UserError
from research.core.files import PARTIAL, write_text
from research.report.claims import Claim, Paper, Results
from research.report.curves import Curve, draw_curves
from research.report.lock import FileLock
from research.report.provenance import Provenance, without_data_folder, without_folders
from research.training.exchange import agree, exchange, process_index
from research.training.writers import METRICS, read_metrics

log = logging.getLogger("landmarks")

CONFIG = "config.json"
LOCK = "lock"  # of what all arms share; "lock.<arm>" of one arm
RESULT = "result.json"
Numbers = dict[str, dict[str, dict[str, float]]]  # arm -> seed -> metric -> number


# What changes no number, as patterns of a configuration's keys: it may be another at every start.
CHANGEABLE = (
    *("log_every_steps", "eval_every_steps", "checkpoint_every_steps", "keep_checkpoints"),
    *("best_metric", "best_mode", "profile_at_step", "check_claims", "published_as"),
    *("writers", "tensorboard_axis"),
    *("mesh.*", "data.dir"),
)
# How long a run is. More of it goes on with what is there, where the steps stay what they were.
LENGTHS = ("num_steps", "num_epochs", "total_frames", "total_images")
_SHARED = 30.0  # seconds until a file of one machine is seen by the others
_MOMENTS = 600.0  # seconds in which another process has written what all arms share, films too


class RunFolder:
    """The folder of a run, with a folder in it for each arm and seed.

    Process 0 writes it; all of them read it. Several runs may be in one folder at a time, each with
    arms of its own.

    Args:
      workdir: the folder; made by `held`, not before.
      paper: name of the script.
      config: what is run.
      variant: of the configuration file, "" for the default.
      arms: those that are run here, at least one.
    """

    def __init__(
        self,
        workdir: Path,
        paper: str,
        config: Mapping[str, Any],
        variant: str,
        arms: Collection[str],
    ):
        self.workdir, self.paper, self.variant = workdir, paper, variant
        self.config = _strict(config)
        self._shared_lock = FileLock(workdir / LOCK, f"workdir {workdir}")
        self._arm_locks = [self._lock_of(arm) for arm in arms]

    def _lock_of(self, arm: str) -> FileLock:
        return FileLock(self.workdir / f"{LOCK}.{arm}", f"arm {arm} of workdir {self.workdir}")

    def check(self, fixed: Collection[str] = ()) -> dict[str, Any]:
        """Refuses a folder that cannot be written, is in use, or holds another run.

        Args:
          fixed: keys that may not change here though they may elsewhere.

        Returns:
          What the keys of `LENGTHS` were before, where this run is to be a longer one.

        Raises:
          UserError: it is refused; nothing was written.
        """
        try:
            return self._check(fixed)
        except OSError as error:
            raise UserError(
                f"workdir {str(self.workdir)[:200]} cannot be used ({error.strerror}); "
                "choose another --workdir"
            ) from error

    def _check(self, fixed: Collection[str]) -> dict[str, Any]:
        workdir = self.workdir
        if os.path.lexists(workdir) and not workdir.is_dir():
            raise UserError(f"workdir {workdir} is not a folder; choose another --workdir")
        parent = next(p for p in [workdir, *workdir.absolute().parents] if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UserError(f"workdir {workdir} is not writable; choose another --workdir")
        for lock in self._arm_locks:
            lock.refuse_if_held()
        if not (workdir / CONFIG).exists():
            if workdir.exists() and any(not _is_beginning(path) for path in workdir.iterdir()):
                raise UserError(f"workdir {workdir} holds something else; choose another --workdir")
            return {}
        before = _read(workdir / CONFIG)
        if before is None:
            raise UserError(
                f"{workdir / CONFIG} is damaged; put it back, or choose another --workdir"
            )
        return self._compare(before, fixed)

    def _compare(self, before: dict[str, Any], fixed: Collection[str]) -> dict[str, Any]:
        """Refuses to go on with a run of another configuration; see `check`."""
        after = self._described()
        differing = [k for k in {**before, **after} if before.get(k) != after.get(k)]
        longer = {k: before[k] for k in differing if k in LENGTHS and _is_more(k, before, after)}
        refused = [
            k
            for k in differing
            if k not in longer
            and (k in fixed or not _may_change(k, before, after) or _are_together(k, after))
        ]
        if not refused:
            return longer
        shown = ", ".join(f"{k} {before.get(k)!r} -> {after.get(k)!r}" for k in refused[:3])
        more = f", and {len(refused) - 3} more" if len(refused) > 3 else ""
        raise UserError(
            f"workdir {self.workdir} holds a run of another configuration ({shown}{more}); "
            "choose another --workdir"
        )

    def has_phases(self) -> bool:
        """Whether what ran here was several trainings, of which a later one needs the earlier."""
        found = self.workdir.glob("*/*/**/checkpoints")
        return any(len(path.relative_to(self.workdir).parts) > 3 for path in found)

    @contextlib.contextmanager
    def held(self, longer: bool = False) -> Iterator[None]:
        """Makes the folder, takes the locks of the arms, and notes in it what runs there.

        Args:
          longer: whether what has ended there is to go on.

        Raises:
          UserError: on all processes, if it cannot be made, another process runs one of the arms,
            or the processes do not share it.
        """
        try:
            agree("folder", functools.partial(self._begin, longer))
            token = exchange("token", self._arm_locks[0].token)[0]
            agree("shared", functools.partial(self._check_shared, token))
            yield
        finally:
            for lock in self._arm_locks:
                lock.release()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until no other run writes what all arms share, and keeps others from it."""
        try:
            agree("alone", self._take_shared)
            yield
        finally:
            self._shared_lock.release()

    def _take_shared(self) -> None:
        if process_index() == 0:
            self._shared_lock.take(_MOMENTS)

    def _begin(self, longer: bool) -> None:
        if process_index() != 0:
            return
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"workdir {self.workdir} cannot be made ({error.strerror}); take another --workdir"
            ) from error
        for lock in self._arm_locks:
            lock.take()
        self._take_shared()
        try:
            self._note(longer)
        finally:
            self._shared_lock.release()

    def _note(self, longer: bool) -> None:
        """Notes what runs here; clears away what a kill or a shorter run has left."""
        for path in self.workdir.glob(f"*{PARTIAL}"):
            path.unlink()
        if longer:
            ended = list(self.workdir.glob(f"*/*/{RESULT}"))
            mine = {lock.path for lock in self._arm_locks}
            for arm in {path.parent.parent.name for path in ended}:
                lock = self._lock_of(arm)
                if lock.path not in mine:
                    lock.refuse_if_held()
            for path in ended:
                path.unlink()
        if _read(self.workdir / CONFIG) != self._described():
            _write(self.workdir / CONFIG, self._described())

    def _check_shared(self, token: str) -> None:
        if not self._arm_locks[0].sees(token, _SHARED):
            raise UserError(
                f"workdir {self.workdir} is not one folder for all processes: process "
                f"{process_index()} on {socket.gethostname()} does not see what process 0 wrote "
                "there; choose a --workdir on a file system that they share"
            )

    def _described(self) -> dict[str, Any]:
        return {"paper": self.paper, "variant": self.variant, **_flat(self.config)}

    def folder(self, arm: str, seed: int) -> Path:
        """Makes the folder of one arm and seed; returns its path."""
        path = self.workdir / arm / str(seed)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def has(self, arm: str, seed: int) -> bool:
        """Tells whether that arm and seed has run to its end; all processes ask it together."""
        return bool(exchange("ended", "yes" if self._ended(arm, seed) else "")[0])

    def ended(self, arm: str, seed: int) -> bool:
        """Whether a result of that arm and seed lies there, as this process sees it."""
        return (self.workdir / arm / str(seed) / RESULT).exists()

    def _ended(self, arm: str, seed: int) -> dict[str, Any] | None:
        """What the run of an arm and seed came to, None if it has not ended or is not readable."""
        path = self.workdir / arm / str(seed) / RESULT
        if not path.exists():
            return None
        run = _read(path)
        if run is not None and _is_result(run):
            return run
        log.warning("%s is damaged; it is made again from the last checkpoint", path)
        return None

    def seconds(self, arm: str, seed: int) -> float:
        """Seconds that sessions before this one have trained, by what they noted."""
        return seconds_trained(self.workdir / arm / str(seed))

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
        seeds = list(seeds)
        found = {}
        for arm in arms:
            ended = {str(seed): self._ended(arm, seed) for seed in seeds}
            if all(ended.values()):
                found[arm] = {seed: run["metrics"] for seed, run in ended.items() if run}
        # Process 0 has written them all; the others may not see the last of them yet.
        found = json.loads(exchange("results", json.dumps(found))[0])
        return {
            arm: {seed: _numbers(metrics) for seed, metrics in runs.items()}
            for arm, runs in found.items()
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
            arm, seed = path.parent.parent.name, path.parent.name
            run = self._ended(arm, int(seed)) if seed.isdecimal() else None
            if run is not None:
                runs.append(run)
                arms.setdefault(arm, {})[seed] = run["metrics"]
                data[arm] = without_folders(run.get("data", ""))
        _write(
            self.workdir / RESULT,
            {
                "paper": self.paper,
                "config": without_data_folder(self.config),
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


def seconds_trained(folder: Path) -> float:
    """Seconds that the trainings in a folder have taken, by what they noted.

    The clock goes on from session to session; where it once started anew, the sessions add up.
    """
    total = 0.0
    for path in folder.rglob(METRICS):
        before = 0.0
        for record in read_metrics(path.parent):
            seconds = record.get("seconds")
            if isinstance(seconds, (int, float)):
                total += seconds - (before if seconds >= before else 0.0)
                before = seconds
    return total


def read_curves(workdir: Path, paper: Paper) -> dict[str, dict[str, list[Curve]]]:
    """Reads the learning curves in a run's folder: metric -> arm -> one curve for each seed."""
    curves: dict[str, dict[str, list[Curve]]] = {}
    for folder in sorted(path.parent for path in workdir.glob("*/*/metrics.jsonl")):
        records = read_metrics(folder)
        for metric in paper.curves:
            points = [
                (record[paper.x], record[metric])
                for record in records
                if _is_number(record.get(paper.x)) and _is_number(record.get(metric))
            ]
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


def _strict(value: Any) -> Any:
    """A value as strict JSON reads it: tuples are lists, and what is not finite is null."""
    if isinstance(value, Mapping):
        return {str(key): _strict(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _is_beginning(path: Path) -> bool:
    """Whether a file is what a run leaves that was killed before it had noted what it is."""
    return path.name.split(".")[0] == LOCK or (
        path.name.startswith("config") and path.name.endswith(PARTIAL)
    )


def _is_more(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    old, new = before.get(key), after.get(key)
    return isinstance(old, (int, float)) and isinstance(new, (int, float)) and new > old


def _may_change(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a key may differ from what it was: no number of what has run depends on it."""
    if key == "seeds":  # more of them
        return set(before.get(key) or ()) <= set(after.get(key) or ())
    if key.startswith("arms."):  # one that was not there
        arm = key.split(".")[1]
        return not any(name.startswith(f"arms.{arm}.") for name in before)
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in CHANGEABLE)


def _are_together(key: str, config: Mapping[str, Any]) -> bool:
    """Whether all seeds are one program, so that another seed would be another one."""
    return key == "seeds" and bool(config.get("vmap_seeds"))


def _is_result(run: Mapping[str, Any]) -> bool:
    """Whether a file is what `RunFolder.add` writes."""
    metrics, seconds = run.get("metrics"), run.get("seconds")
    return (
        isinstance(metrics, dict)
        and all(value is None or _is_number(value) for value in metrics.values())
        and _is_number(seconds)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Final numbers; null is what was not finite."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _read(path: Path) -> dict[str, Any] | None:
    """What a JSON file of this folder says, None if it is not there or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _write(path: Path, value: Any) -> None:
    """Writes a file of strict JSON whole or not at all."""
    write_text(path, json.dumps(_strict(value), indent=1, allow_nan=False) + "\n")
