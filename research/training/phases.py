"""Training in phases: each a run of its own, with its own program, that goes on from the last one.

Every phase has a folder below the run's, with its own checkpoints: a run that is started again
passes over the phases that have ended and resumes the one that was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from research.core.experiment import Experiment, State
from research.core.files import write_text
from research.training.loop import run
from research.training.writers import METRICS, read_metrics


def run_phases(
    build: Callable[[int], Experiment], count: int, config: ConfigDict, workdir: Path
) -> tuple[Experiment, State, dict[str, float]]:
    """Trains phase after phase in `workdir`/phase_0 and so on.

    The run's own `metrics.jsonl` is that of all phases that have ended, with steps and units
    counted from the beginning.

    Args:
      build: the experiment of a phase, from its number; from the second phase on its `warm_start`
        is given the final state of the one before.
      count: number of phases.
      config: of `training.run`.
      workdir: of the whole run.

    Returns:
      The last phase's experiment, final state and numbers.
    """
    state: State | None = None
    records: list[dict[str, Any]] = []
    for index in range(count):
        experiment = build(index)
        folder = workdir / f"phase_{index}"
        state, numbers = run(experiment, config, folder, state)
        # `seconds` are those since a phase's start; "step" and the units are added up.
        names = ("step", *experiment.per_step)
        before = {name: records[-1][name] if records else 0 for name in names}
        for record in read_metrics(folder):
            records.append({**record, **{name: before[name] + record[name] for name in names}})
        if jax.process_index() == 0:
            write_text(workdir / METRICS, "".join(json.dumps(r) + "\n" for r in records))
    return experiment, state, numbers


def beside(config: ConfigDict, seed: int) -> ConfigDict:
    """Configuration of a short training beside the paper's, on the same mesh."""
    config = config.copy_and_resolve_references()
    config.update(seed=seed, eval_every_steps=0, checkpoint_every_steps=0, best_metric="")
    return config
