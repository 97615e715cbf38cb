"""Numbers of a state, by the experiment's own evaluations."""

from __future__ import annotations

import jax
from ml_collections import ConfigDict

from research.core.experiment import Experiment, State
from research.training.program import eval_key


def evaluate(experiment: Experiment, state: State, config: ConfigDict) -> dict[str, float]:
    """Numbers of all evaluations of a finished run, as `{"name/metric": number}`.

    The key depends on the seed alone, so the same state gives the same numbers. Free for the state
    that `run` has just returned: it has these numbers already.
    """
    last = experiment.last_evaluation
    if not (last and last[0] is state):
        experiment.last_evaluation[:] = (
            state,
            evaluate_at(experiment, state, config.seed, experiment.num_steps),
        )
    return dict(experiment.last_evaluation[1])


def evaluate_at(experiment: Experiment, state: State, seed: int, step: int) -> dict[str, float]:
    """Numbers of all evaluations of the state after `step` steps."""
    key = eval_key(seed, step)
    numbers = {}
    for i, (name, function) in enumerate(experiment.evals.items()):
        for metric, value in function(state, jax.random.fold_in(key, i)).items():
            numbers[f"{name}/{metric}"] = float(value)
    return numbers
