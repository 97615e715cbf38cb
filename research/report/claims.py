"""What a script says of its paper: `Paper`, and claims as comparisons between arms."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from research.core.errors import UserError

Rule = Literal["every seed", "seed by seed", "mean", "median"]


@dataclasses.dataclass(frozen=True)
class Paper:
    """A paper and what its script reproduces.

    Attributes:
      title, authors, year, arxiv: as published; `arxiv` is "" for a paper that is not there.
      claim: the paper's central claim in one sentence, as the script checks it.
      parameters: published (or exactly derived) parameter counts by name of the network; a mapping
        from learner to count where there are several, such as a generator and a discriminator.
      curves: metrics drawn as learning curves over the arms, such as "eval/return".
      x: what they are drawn over: "step", or a unit of `Experiment.per_step`.
    """

    title: str
    authors: str
    year: int
    arxiv: str
    claim: str
    parameters: Mapping[str, int | Mapping[str, int]] = dataclasses.field(default_factory=dict)
    curves: tuple[str, ...] = ()
    x: str = "step"


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row of the claims table.

    Attributes:
      claim: what is compared, in words.
      paper: what the paper reports.
      ours: what was measured, with its spread over seeds.
      holds: whether the measured numbers meet the margin stated in the script; None where the run
        does not suffice to tell, such as one of too few seeds.
    """

    claim: str
    paper: str
    ours: str
    holds: bool | None


class MissingResult(UserError):
    """A claim asks for an arm or a metric that was not measured: it never passes on nothing."""


class Results:
    """Final numbers of a run: `results["test/error"]["plain_20"]` is an array over seeds.

    Args:
      numbers: arm -> metric -> numbers `[S]` over seeds.
    """

    def __init__(self, numbers: Mapping[str, Mapping[str, np.ndarray]]):
        self._numbers = numbers

    @property
    def arms(self) -> list[str]:
        """The arms that were run, in the configuration's order."""
        return list(self._numbers)

    @property
    def metrics(self) -> list[str]:
        """Every metric that some arm reports."""
        return list(dict.fromkeys(name for found in self._numbers.values() for name in found))

    def __getitem__(self, metric: str) -> Scores:
        arms = {arm: found[metric] for arm, found in self._numbers.items() if metric in found}
        if not arms:
            raise MissingResult(
                f"no arm of {', '.join(self.arms) or 'this run'} reports {metric!r}; "
                f"reported: {', '.join(self.metrics)}"
            )
        return Scores(metric, arms)

    def named(self, name: str) -> Scores:
        """A metric that carries the network it was measured with, such as "fid[inception@0bae69]".

        Args:
          name: the metric's name before the bracket. What is in it may differ from arm to arm.

        Raises:
          MissingResult: no arm reports such a metric, or an arm reports several.
        """
        arms = {}
        for arm, found in self._numbers.items():
            metrics = [metric for metric in found if metric.startswith(f"{name}[")]
            if len(metrics) > 1:
                raise MissingResult(f"{name!r} of arm {arm!r} may be {' or '.join(metrics)}")
            if metrics:
                arms[arm] = found[metrics[0]]
        if not arms:
            raise MissingResult(
                f"no arm of {', '.join(self.arms) or 'this run'} reports {name!r} of any network; "
                f"reported: {', '.join(self.metrics)}"
            )
        return Scores(name, arms)

    def side_by_side(self, arm: str, **metrics: str) -> Scores:
        """Several metrics of one arm, to be compared as arms are: label -> metric.

        Raises:
          MissingResult: the arm does not report one of them.
        """
        return Scores(arm, {label: self[metric][arm] for label, metric in metrics.items()})


class Scores(Mapping[str, np.ndarray]):
    """One metric of all arms that report it, and the comparisons that claims are made of.

    A comparison takes the same last arguments everywhere:
      claim, paper: texts of the row.
      rule: how seeds count. "every seed": the worst seed of one side against the best of the
        other, or against the number. "seed by seed": each seed against the same seed of the other
        arm. "mean", "median": of all seeds. It stands in the row.
      digits: decimals shown.
      judged: False where this run does not suffice to tell; the row then says «not checked».
    """

    def __init__(self, metric: str, arms: Mapping[str, np.ndarray]):
        self.metric = metric
        self._arms = {arm: np.asarray(values, float) for arm, values in arms.items()}

    def __getitem__(self, arm: str) -> np.ndarray:
        """Numbers `[S]` of an arm's seeds."""
        if arm not in self._arms or not self._arms[arm].size:
            raise MissingResult(
                f"arm {arm!r} reports no {self.metric!r}; arms that do: {', '.join(self._arms)}"
            )
        return self._arms[arm]

    def __iter__(self):
        return iter(self._arms)

    def __len__(self) -> int:
        return len(self._arms)

    def above(
        self,
        higher: str,
        lower: str,
        *,
        by: float = 0.0,
        claim: str,
        paper: str,
        rule: Rule = "every seed",
        digits: int = 2,
        judged: bool = True,
    ) -> Claim:
        """Arm `higher` exceeds arm `lower` by at least `by`."""
        gap = self._gap(higher, lower, operator.sub, rule)
        shown = f"{self._named(higher, digits)}, {self._named(lower, digits)}; by {gap:.{digits}f}"
        return _row(
            f"{claim} ({higher} - {lower} >= {by:g})", paper, shown, rule, gap >= by, judged
        )

    def ratio(
        self,
        higher: str,
        lower: str,
        factor: float,
        *,
        claim: str,
        paper: str,
        rule: Rule = "every seed",
        digits: int = 2,
        judged: bool = True,
    ) -> Claim:
        """Arm `higher` is at least `factor` times arm `lower`; both are positive."""
        found = self._gap(higher, lower, operator.truediv, rule)
        shown = f"{self._named(higher, digits)}, {self._named(lower, digits)}; {found:.2f} x"
        text = f"{claim} ({higher} >= {factor:g} x {lower})"
        return _row(text, paper, shown, rule, found >= factor, judged)

    def at_least(
        self,
        arm: str,
        least: float,
        *,
        claim: str,
        paper: str,
        rule: Rule = "every seed",
        digits: int = 2,
        judged: bool = True,
    ) -> Claim:
        """Arm `arm` reaches the number `least`."""
        found = _of_seeds(self[arm], rule, np.min)
        shown = self._named(arm, digits)
        return _row(f"{claim} (>= {least:g})", paper, shown, rule, found >= least, judged)

    def at_most(
        self,
        arm: str,
        most: float,
        *,
        claim: str,
        paper: str,
        rule: Rule = "every seed",
        digits: int = 2,
        judged: bool = True,
    ) -> Claim:
        """Arm `arm` stays at or below the number `most`."""
        found = _of_seeds(self[arm], rule, np.max)
        shown = self._named(arm, digits)
        return _row(f"{claim} (<= {most:g})", paper, shown, rule, found <= most, judged)

    def within(
        self,
        arm: str,
        low: float,
        high: float,
        *,
        claim: str,
        paper: str,
        rule: Rule = "every seed",
        digits: int = 2,
        judged: bool = True,
    ) -> Claim:
        """Arm `arm` lies between two numbers, both included."""
        bottom, top = (_of_seeds(self[arm], rule, worst) for worst in (np.min, np.max))
        text = f"{claim} ({low:g} to {high:g})"
        return _row(
            text, paper, self._named(arm, digits), rule, low <= bottom and top <= high, judged
        )

    def _gap(self, higher: str, lower: str, compare: Callable, rule: Rule) -> float:
        """`compare(higher, lower)`, as the rule takes seeds together."""
        a, b = self[higher], self[lower]
        with np.errstate(divide="ignore", invalid="ignore"):  # a ratio to nothing is infinite
            if rule == "seed by seed":
                return float(np.min(compare(a, b)))
            return float(compare(_of_seeds(a, rule, np.min), _of_seeds(b, rule, np.max)))

    def _named(self, arm: str, digits: int) -> str:
        return f"{arm} {spread(self[arm], digits)}"


def _of_seeds(values: np.ndarray, rule: Rule, worst: Callable[[np.ndarray], float]) -> float:
    """One of NumPy's floats, which may be divided by zero."""
    together: dict[str, Callable] = {"mean": np.mean, "median": np.median}
    return together.get(rule, worst)(values)


def _row(claim: str, paper: str, ours: str, rule: Rule, holds: bool, judged: bool) -> Claim:
    return Claim(claim, paper, f"{ours} [{rule}]", bool(holds) if judged else None)


def spread(values: np.ndarray, digits: int = 1) -> str:
    """Median, and the range where there are several seeds."""
    middle, low, high = (f"{f(values):.{digits}f}" for f in (np.median, np.min, np.max))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"
