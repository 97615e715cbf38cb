"""Numbers of a state, by the experiment's own evaluation."""

from __future__ import annotations

from research.core.experiment import Experiment, State
from research.training.program import eval_key


def evaluate_at(experiment: Experiment, state: State, seed: int, step: int) -> dict[str, float]:
    """Numbers of the state after `step` steps."""
    numbers = experiment.evaluate(state, eval_key(seed, step))
    return {name: float(value) for name, value in numbers.items()}
