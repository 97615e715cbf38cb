"""What a finished model does for a person: the inputs and outputs of one function.

A script's `demo(experiment, state) -> Demo` says it; the command line (`python -m research demo
RUN`) and the page in the browser are made from it, for every paper in the same way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Text:
    """A string; `lines` of them are shown at once."""

    label: str
    default: str = ""
    lines: int = 1


@dataclasses.dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both included; an int where `step` is one."""

    label: str
    default: float
    low: float
    high: float
    step: float = 1


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several strings."""

    label: str
    options: Sequence[str]
    default: str


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture: uint8 `[H, W, 3]`, or `[H, W]` for grey.

    As an input it may have any size: the demo makes of it what its model takes. `default` is one.
    """

    label: str
    default: Any = None


@dataclasses.dataclass(frozen=True)
class Audio:
    """A sound: float32 samples `[N]` in -1 to 1, at `rate` samples a second.

    As an input it may have any rate and is converted to this one; `default` is a sound.
    """

    label: str
    rate: int
    default: Any = None


@dataclasses.dataclass(frozen=True)
class Film:
    """Pictures in time: uint8 `[T, H, W, 3]`, `fps` of them a second."""

    label: str
    fps: int = 15


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A picture of lines that can be enlarged: an SVG document as `str`."""

    label: str


@dataclasses.dataclass(frozen=True)
class Probabilities:
    """A number in 0 to 1 for each of several names, such as the top five classes of an image."""

    label: str


Input = Text | Number | Choice | Image | Audio
Output = Text | Number | Image | Audio | Film | Drawing | Probabilities


@dataclasses.dataclass(frozen=True)
class Demo:
    """One function of a finished model, with what it takes and gives.

    Attributes:
      title: a few words, such as "Translate a sentence".
      says: one or two sentences for a person who has not read the paper.
      inputs: argument of `run` -> what it is. Each has a default, so that `run` works with none.
      outputs: key of what `run` returns -> what it is.
      run: takes the inputs by name and returns the outputs by key. It raises `UserError` for what
        it cannot take, such as a word that is in no vocabulary.
      examples: some sets of inputs worth trying, by name.
    """

    title: str
    says: str
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    run: Callable[..., Mapping[str, Any]]
    examples: Sequence[Mapping[str, Any]] = ()

    def defaults(self) -> dict[str, Any]:
        """What `run` is called with where a person says nothing."""
        return {name: field.default for name, field in self.inputs.items()}
