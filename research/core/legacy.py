"""TEMPORARY: experiments given as functions, until every script is a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from research.core.experiment import Experiment, Rules, Source


class OldExperiment(Experiment):
    """Functions with the fields that experiments had before they were objects."""

    def __init__(
        self,
        init: Callable,
        step: Callable,
        num_steps: int,
        source: Source | None = None,
        evals: Mapping[str, Callable] | None = None,
        rules: Rules = (),
        per_step: Mapping[str, int] | None = None,
        splits: Rules = (),
        warm_start: Callable | None = None,
    ):
        if warm_start:
            self.warm_start = warm_start  # type: ignore[method-assign]
        self.init = init  # type: ignore[method-assign]
        self._step, self.evals = step, dict(evals or {})
        self.num_steps, self.source, self.rules = num_steps, source, rules
        self.per_step, self.soft_rules = per_step or {}, splits

    def step(self, state: Any, batch: Any, t: Any, key: Any) -> Any:
        return self._step(state, batch, key)

    def evaluate(self, state: Any, key: Any) -> dict[str, Any]:
        return {
            f"{name}/{metric}": value
            for name, function in self.evals.items()
            for metric, value in function(state, key).items()
        }
