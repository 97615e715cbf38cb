"""What a script says of its paper: `Paper`, and claims as comparisons between arms."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from math import nan
from typing import Literal, Required, TypedDict, Unpack

import numpy as np

from research.core.errors import UserError

Rule = Literal["every seed", "seed by seed", "interval"]

FIELDS = (
    "reinforcement learning",
    "images",
    "generative models",
    "language",
    "sound",
    "applications",
    "",  # not yet sorted
)
INTERVAL_SEEDS = 5  # fewer say too little of how seeds scatter for an interval to be made of them


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
      method: the arm that is the paper's own method, which a finished run shows unless it is told
        another; "" for the first one.
      field: one of `FIELDS`, under which the README lists it.
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
    method: str = ""
    field: str = ""
    without_gradient: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.field not in FIELDS:
            raise ValueError(f"no field {self.field!r}; fields: {', '.join(FIELDS)}")


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
        of the other, or against the number. "interval": the 95 % bootstrap interval of the
        difference of means (their ratio, the mean) clears the margin; of fewer than five seeds the
        row says «not checked». "seed by seed": each seed against the same seed of the other arm,
        where `pairs` says what makes them a pair. It stands in the row.
      pairs: what the same seed of both arms shares, such as "one network"; stands in the row.
      digits: decimals shown, 2 by default.
      judged: False where this run does not suffice to tell; the row then says «not checked».
    """

    claim: Required[str]
    paper: Required[str]
    rule: Rule
    pairs: str
    digits: int
    judged: bool


@dataclasses.dataclass(frozen=True)
class _Row:
    """`RowOptions` with their defaults, and what a comparison makes of them."""

    claim: str
    paper: str
    rule: Rule = "every seed"
    pairs: str = ""
    digits: int = 2
    judged: bool = True

    def __post_init__(self):
        if (self.rule == "seed by seed") != bool(self.pairs):
            raise ValueError("`pairs` says what pairs share where the rule is «seed by seed»")

    def bounds(self, compare: Callable, *sides: np.ndarray) -> tuple[float, float]:
        """The least and the most that `compare` comes to, as the rule takes seeds together.

        Args:
          compare: of one or two sides; it rises with the first and falls with the second.
          sides: numbers `[S]` over seeds.
        """
        with np.errstate(divide="ignore", invalid="ignore"):  # a ratio to nothing is infinite
            if self.rule == "seed by seed":
                each = compare(*sides)
                return float(np.min(each)), float(np.max(each))
            if self.rule == "interval":
                return bootstrap_interval(compare, *sides) if self.enough(*sides) else (nan, nan)
            first, *second = sides
            least = compare(np.min(first), *map(np.max, second))
            return float(least), float(compare(np.max(first), *map(np.min, second)))

    def enough(self, *sides: np.ndarray) -> bool:
        """Whether there are as many seeds as the rule needs."""
        return self.rule != "interval" or min(map(len, sides)) >= INTERVAL_SEEDS

    def found(self, bounds: tuple[float, float]) -> str:
        """What a comparison came to: its worst, or the interval."""
        low, high = (f"{bound:.{self.digits}f}" for bound in bounds)
        return f"{low} to {high}" if self.rule == "interval" else low

    def judge(self, margin: str, ours: str, holds: bool, *sides: np.ndarray) -> Claim:
        """Makes the row of a comparison of `sides`."""
        rule = f"{self.rule}: {self.pairs}" if self.pairs else self.rule
        if not self.enough(*sides):
            rule += f": not of fewer than {INTERVAL_SEEDS} seeds"
        return Claim(
            claim=f"{self.claim} ({margin})",
            paper=self.paper,
            ours=f"{ours} [{rule}]",
            holds=bool(holds) if self.judged and self.enough(*sides) else None,
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
        row, sides = _Row(**options), (self[higher], self[lower])
        gap = row.bounds(operator.sub, *sides)
        shown = f"{self._shown(row, higher, lower)}; by {row.found(gap)}"
        return row.judge(f"{higher} - {lower} >= {by:g}", shown, gap[0] >= by, *sides)

    def ratio(self, higher: str, lower: str, factor: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `higher` is at least `factor` times arm `lower`; both are positive."""
        row, sides = _Row(**options), (self[higher], self[lower])
        found = row.bounds(operator.truediv, *sides)
        times = dataclasses.replace(row, digits=2).found(found)
        shown = f"{self._shown(row, higher, lower)}; {times} x"
        return row.judge(f"{higher} >= {factor:g} x {lower}", shown, found[0] >= factor, *sides)

    def close(self, arm: str, other: str, *, within: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `arm` differs from arm `other` by at most `within`, in either direction."""
        row, sides = _Row(**options), (self[arm], self[other])
        low, high = row.bounds(operator.sub, *sides)
        apart = f"{low:.{row.digits}f} to {high:.{row.digits}f}"
        shown = f"{self._shown(row, arm, other)}; {apart} apart"
        holds = -within <= low and high <= within
        return row.judge(f"|{arm} - {other}| <= {within:g}", shown, holds, *sides)

    def at_least(self, arm: str, least: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `arm` reaches the number `least`."""
        return self._between(arm, least, np.inf, f">= {least:g}", _Row(**options))

    def at_most(self, arm: str, most: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `arm` stays at or below the number `most`."""
        return self._between(arm, -np.inf, most, f"<= {most:g}", _Row(**options))

    def within(self, arm: str, low: float, high: float, **options: Unpack[RowOptions]) -> Claim:
        """Arm `arm` lies between two numbers, both included."""
        return self._between(arm, low, high, f"{low:g} to {high:g}", _Row(**options))

    def _between(self, arm: str, low: float, high: float, margin: str, row: _Row) -> Claim:
        least, most = row.bounds(np.positive, self[arm])
        shown = self._shown(row, arm)
        if row.rule == "interval":
            shown += f"; mean {row.found((least, most))}"
        return row.judge(margin, shown, low <= least and most <= high, self[arm])

    def _shown(self, row: _Row, *arms: str) -> str:
        return ", ".join(f"{arm} {spread(self[arm], row.digits)}" for arm in arms)


def bootstrap_interval(compare: Callable, *sides: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of `compare(mean of a side, mean of the other)`.

    By percentiles of 9,999 resamples (Efron 1979), each side resampled by itself; of seeds that
    all agree it is the number itself. The same numbers have the same interval.

    Args:
      compare: of as many numbers as there are sides.
      sides: numbers `[S]`, two or more of each.
    """
    from scipy import stats  # half a second

    if not all(np.isfinite(side).all() for side in sides):
        return nan, nan
    found = stats.bootstrap(
        sides,
        lambda *resampled, axis: compare(*(np.mean(side, axis=axis) for side in resampled)),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def spread(values: np.ndarray, digits: int = 1) -> str:
    """Median, and the range where there are several seeds."""
    middle, low, high = (f"{f(values):.{digits}f}" for f in (np.median, np.min, np.max))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"
