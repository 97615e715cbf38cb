"""Runs that end soon after an error is reached, for claims about how soon that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from research.core.experiment import Experiment, State
from research.training.loop import run
from research.training.writers import read_metrics


def run_to_error(
    build: Callable[[float], Experiment],
    stops: Sequence[float],
    target: float,
    config: ConfigDict,
    workdir: Path,
) -> tuple[Experiment, State, dict[str, float], int]:
    """Trains an experiment to its end, or to the first stop after its metric "error" is low enough.

    Args:
      build: the experiment that ends at a stop.
      stops: in increasing order, the end last.
      target: the error, a mean over the steps between two lines of the log, is at most this.
      config, workdir: as for `run`, which goes on at every stop from where it was.

    Returns:
      The experiment, its state and numbers at the last stop; the step of the line of the log at
      which the target was reached, or the last one.
    """
    for stop in stops:
        experiment = build(stop)
        state, numbers = run(experiment, config, workdir)
        reached = [r["step"] for r in read_metrics(workdir) if r.get("error", 101.0) <= target]
        if reached:
            return experiment, state, numbers, int(reached[0])
    return experiment, state, numbers, experiment.num_steps
