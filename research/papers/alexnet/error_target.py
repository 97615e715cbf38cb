"""Runs that end soon after an error is reached, for claims about how soon that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from research.core.experiment import Experiment, State
from research.training.loop import run
from research.training.writers import read_metrics


def run_to_error(
    experiment: Experiment,
    stops: Sequence[int],
    max_error: float,
    config: Any,
    workdir: Path,
) -> tuple[State, dict[str, float], int]:
    """Trains an experiment to its end, or to the first stop after its metric "error" is low enough.

    Args:
      experiment: its `num_steps` becomes that of the stop; it is built, and its data opened, once.
      stops: steps in increasing order, the end last.
      max_error: the error, a mean over the steps between two lines of the log, is to be at most
        this.
      config, workdir: as for `run`, which goes on at every stop from where it was.

    Returns:
      The state and the numbers at the last stop; the step of the line of the log at which the error
      was reached, or the last one.
    """
    for stop in stops:
        experiment.num_steps = stop
        state, numbers = run(experiment, config, workdir)
        reached = [r["step"] for r in read_metrics(workdir) if r.get("error", 101.0) <= max_error]
        if reached:
            return state, numbers, int(reached[0])
    return state, numbers, stop
