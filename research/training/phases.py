"""Training in phases: each a run of its own, with its own program, that goes on from the last one.

Every phase has a folder below the run's, with its own checkpoints: a run that is started again
passes over the phases that have ended and resumes the one that was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from research.core.experiment import Experiment, State
from research.training.loop import run
from research.training.writers import METRICS, read_metrics


def run_phases(
    build: Callable[[int, State | None], Experiment], count: int, config: ConfigDict, workdir: Path
) -> tuple[Experiment, State]:
    """Trains phase after phase in `workdir`/phase_0 and so on.

    The run's own `metrics.jsonl` is that of all phases that have ended, with steps and units
    counted from the beginning.

    Args:
      build: `(index, state) -> Experiment`; `state` is the last phase's, as NumPy arrays, None for
        the first. The experiment's `init` makes its own from it; only arrays of one shape in all
        processes, so replicated ones, are passed on.
      count: number of phases.
      config: of `training.run`.
      workdir: of the whole run.

    Returns:
      The last phase's experiment and final state.
    """
    state: State | None = None
    records: list[dict[str, Any]] = []
    for index in range(count):
        experiment = build(index, None if state is None else jax.device_get(state))
        folder = workdir / f"phase_{index}"
        state = run(experiment, config, folder)
        # `seconds` are those since a phase's start; "step" and the units are added up.
        names = ("step", *experiment.per_step)
        before = {name: records[-1][name] if records else 0 for name in names}
        for record in read_metrics(folder):
            records.append({**record, **{name: before[name] + record[name] for name in names}})
        if jax.process_index() == 0:
            _write(workdir / METRICS, records)
    return experiment, state


def _write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Writes a metrics file whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    partial.replace(path)
