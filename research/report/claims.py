"""What a script says of its paper: `Paper`, and claims as comparisons between arms."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from typing import Literal, Required, TypedDict, Unpack

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
      without_gradient: parameters whose gradient is zero by the objective's form -> why, by the
        end of their path in the state.
    """

    title: str
    authors: str
    year: int
    arxiv: str
    claim: str
    parameters: Mapping[str, int | Mapping[str, int]] = dataclasses.field(default_factory=dict)
    curves: tuple[str, ...] = ()
    x: str = "step"
    without_gradient: Mapping[str, str] = dataclasses.field(default_factory=dict)


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


class RowOptions(TypedDict, total=False):
    """What every comparison takes beside its arms and its margin.

    Attributes:
      claim, paper: texts of the row.
      rule: how seeds count. "every seed", the default: the worst seed of one side against the best
        of the other, or against the number. "seed by seed": each seed against the same seed of the
        other arm. "mean", "median": of all seeds. It stands in the row.
      digits: decimals shown, 2 by default.
      judged: False where this run does not suffice to tell; the row then says «not checked».
    """

    claim: Required[str]
    paper: Required[str]
    rule: Rule
    digits: int
    judged: bool


@dataclasses.dataclass(frozen=True)
class _Row:
    """`RowOptions` with their defaults, and what a comparison makes of them."""

    claim: str
    paper: str
    rule: Rule = "every seed"
    digits: int = 2
    judged: bool = True

    def of_seeds(self, values: np.ndarray, worst: Callable[[np.ndarray], float]) -> float:
        """Seeds as one of NumPy's floats, which may be divided by zero."""
        together: dict[str, Callable] = {"mean": np.mean, "median": np.median}
        return together.get(self.rule, worst)(values)

    def compared(self, a: np.ndarray, b: np.ndarray, compare: Callable) -> float:
        """`compare(a, b)`, as the rule takes seeds together."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a ratio to nothing is infinite
            if self.rule == "seed by seed":
                return float(np.min(compare(a, b)))
            return float(compare(self.of_seeds(a, np.min), self.of_seeds(b, np.max)))

    def judge(self, margin: str, ours: str, holds: bool) -> Claim:
        return Claim(
            claim=f"{self.claim} ({margin})",
            paper=self.paper,
            ours=f"{ours} [{self.rule}]",
            holds=bool(holds) if self.judged else None,
        )


class Scores(Mapping[str, np.ndarray]):
    """One metric of all arms that report it, and the comparisons that claims are made of."""

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
        self, higher: str, lower: str, *, by: float = 0.0, **options: Unpack[RowOptions]
    ) -> Claim:
        """Arm `higher` exceeds arm `lower` by at least `by`."""
        row = _Row(**options)
        gap = row.compared(self[higher], self[lower], operator.sub)
        shown = f"{self._shown(row, higher, lower)}; by {gap:.{row.digits}f}"
        return row.judge(f"{higher} - {lower} >= {by:g}", shown, gap >= by)

    def ratio(self, higher: str, lower: str, factor: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `higher` is at least `factor` times arm `lower`; both are positive."""
        row = _Row(**options)
        found = row.compared(self[higher], self[lower], operator.truediv)
        shown = f"{self._shown(row, higher, lower)}; {found:.2f} x"
        return row.judge(f"{higher} >= {factor:g} x {lower}", shown, found >= factor)

    def at_least(self, arm: str, least: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `arm` reaches the number `least`."""
        row = _Row(**options)
        found = row.of_seeds(self[arm], np.min)
        return row.judge(f">= {least:g}", self._shown(row, arm), found >= least)

    def at_most(self, arm: str, most: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `arm` stays at or below the number `most`."""
        row = _Row(**options)
        found = row.of_seeds(self[arm], np.max)
        return row.judge(f"<= {most:g}", self._shown(row, arm), found <= most)

    def within(self, arm: str, low: float, high: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `arm` lies between two numbers, both included."""
        row = _Row(**options)
        bottom, top = (row.of_seeds(self[arm], worst) for worst in (np.min, np.max))
        holds = low <= bottom and top <= high
        return row.judge(f"{low:g} to {high:g}", self._shown(row, arm), holds)

    def _shown(self, row: _Row, *arms: str) -> str:
        return ", ".join(f"{arm} {spread(self[arm], row.digits)}" for arm in arms)


def spread(values: np.ndarray, digits: int = 1) -> str:
    """Median, and the range where there are several seeds."""
    middle, low, high = (f"{f(values):.{digits}f}" for f in (np.median, np.min, np.max))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"
