"""What a script says of its paper: `Paper`, `Claim`, and how it writes a number over seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


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
      unused: keys that every configuration has and that mean nothing to the script, such as
        "accumulate_steps": setting one is an error.
    """

    title: str
    authors: str
    year: int
    arxiv: str
    claim: str
    parameters: Mapping[str, int | Mapping[str, int]] = dataclasses.field(default_factory=dict)
    curves: tuple[str, ...] = ()
    x: str = "step"
    unused: tuple[str, ...] = ()


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


def spread(values: np.ndarray, digits: int = 1) -> str:
    """Median, and the range where there are several seeds."""
    middle, low, high = (f"{f(values):.{digits}f}" for f in (np.median, np.min, np.max))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"
