"""What a person sees while a run goes on: two lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

_WIDEST_BAR, _NARROWEST_BAR = 40, 6
_GAP = "  "


@dataclasses.dataclass
class Place:
    """Where a training stands among all those of a command.

    Attributes:
      arm: its name, "" where nothing is compared.
      arms: which of how many arms it is, counted from 1.
      seed: its name, such as "seed 0".
      seeds: which of how many seeds of the arm it is, counted from 1.
      left: trainings that come after it.
      folder: of the training; what trains in a folder below is a phase of it.
      took: seconds of each training of this command that has ended.
      since: `time.monotonic()` at which its first steps had been made.
      trained: whether it has made a step: one that had ended before makes none.
    """

    arm: str
    arms: tuple[int, int]
    seed: str
    seeds: tuple[int, int]
    left: int
    folder: Path
    took: tuple[float, ...] = ()
    since: float = dataclasses.field(default_factory=time.monotonic)
    trained: bool = False


_PLACE: contextvars.ContextVar[Place | None] = contextvars.ContextVar("place", default=None)


@contextlib.contextmanager
def at(place: Place) -> Iterator[None]:
    """What trains within it stands at this place."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


class Progress:
    """Shows how far a training is.

    On a terminal: two lines, each cut at its width, the first with the place, a bar, steps and the
    time left of this training and of all of them; the second with rates and metrics. Elsewhere: a
    line with the time of day for each set of metrics.

    Time left is told by the steps of this session, without what the first of them spent compiling.

    Args:
      workdir: folder of the training.
      start: steps done before.
      num_steps: steps in all.
      per_step: what one step consumes, by unit.
    """

    def __init__(self, workdir: Path, start: int, num_steps: int, per_step: Mapping[str, int]):
        self.place = _PLACE.get()
        self.workdir, self.num_steps, self.per_step = workdir, num_steps, per_step
        self.step = start
        self.rate = self.metrics = ""
        self._warm: tuple[float, int] | None = None  # when the first steps had been made
        self._mark: tuple[float, int] | None = None  # of the last rate
        self._live: Live | None = None
        if sys.stderr.isatty():
            self._live = Live(self, console=Console(stderr=True), refresh_per_second=4)
            self._live.start()

    def advance(self, step: int) -> None:
        """Notes that `step` steps are done."""
        self.step = step
        if self._warm is None:
            self._warm = self._mark = time.monotonic(), step
        if self.place is not None and not self.place.trained:
            self.place.since, self.place.trained = time.monotonic(), True

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows metrics of a step, but for those that were not reported."""
        self.advance(step)
        self.metrics = " ".join(
            f"{name} {value:.4g}"
            for name, value in metrics.items()
            if not math.isnan(value) and not name.startswith("seed_")  # of `seeds`: means are shown
        )
        self._measure()
        if self._live is None:
            left = self._times()
            parts = (self.metrics, self.rate, left)
            text = _GAP.join(part for part in parts if part)
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            name = f"{self.workdir.parent.name}/{self.workdir.name}"
            line = f"{now} {name} {step}/{self.num_steps}{_GAP}{text}"
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _measure(self) -> None:
        """Steps a second since the last time, and what they consume."""
        assert self._mark is not None
        now, (then, since) = time.monotonic(), self._mark
        if self.step > since:
            per_second = (self.step - since) / max(now - then, 1e-9)
            units = {"steps": 1, **self.per_step}
            self.rate = " ".join(f"{per_second * n:,.4g} {unit}/s" for unit, n in units.items())
            self._mark = now, self.step

    def left(self) -> tuple[float, float]:
        """Seconds left of this training, and of all of this command; NaN where not known yet."""
        if self._warm is None or self.step <= self._warm[1]:
            return math.nan, math.nan
        now, (then, since) = time.monotonic(), self._warm
        own = (self.num_steps - self.step) * (now - then) / (self.step - since)
        place = self.place
        if place is None:
            return own, own
        so_far = now - place.since
        whole = so_far + own
        if self.workdir != place.folder:  # a phase: how long the others take, ended runs tell
            if not place.took:
                return own, math.nan
            whole = max(whole, sum(place.took) / len(place.took))
        took = (*place.took, whole)
        return own, whole - so_far + place.left * sum(took) / len(took)

    def _times(self) -> str:
        own, total = self.left()
        if math.isnan(own):
            return "compiling" if self._warm is None else ""
        several = self.place is not None and (self.place.left or self.workdir != self.place.folder)
        if not several:
            return f"{_clock(own)} left"
        return f"{_clock(own)} left, all {_clock(total) if math.isfinite(total) else '-'}"

    def _names(self) -> tuple[str, str]:
        """Where this training stands, at length and in short."""
        place = self.place
        if place is None:
            name = f"{self.workdir.parent.name}/{self.workdir.name}"
            return name, name
        long, short = [], []
        if place.arm:
            long.append(f"{place.arm} ({place.arms[0]} of {place.arms[1]})")
            short.append(f"{place.arm} {place.arms[0]}/{place.arms[1]}")
        of = place.seeds[1] > 1
        long.append(place.seed + (f" ({place.seeds[0]} of {place.seeds[1]})" if of else ""))
        short.append(place.seed + (f" {place.seeds[0]}/{place.seeds[1]}" if of else ""))
        if self.workdir != place.folder and place.folder in self.workdir.parents:
            phase = str(self.workdir.relative_to(place.folder))
            long.append(phase)
            short.append(phase)
        return ", ".join(long), " ".join(short)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield Text(self._first(width, _marks(console)), no_wrap=True, overflow="crop")
        second = _GAP.join(part for part in (self.rate, self.metrics) if part)
        yield Text(_cut(second, width), no_wrap=True, overflow="crop")

    def _first(self, width: int, marks: tuple[str, str]) -> str:
        """The first line: the longest form of its parts that leaves room for a bar."""
        right = _GAP.join(part for part in (f"{self.step}/{self.num_steps}", self._times()) if part)
        for name in self._names():
            room = width - len(name) - len(right) - 2 * len(_GAP)
            if room >= _NARROWEST_BAR:
                return f"{name}{_GAP}{self._bar(min(room, _WIDEST_BAR), marks)}{_GAP}{right}"
        room = width - len(right) - len(_GAP)  # no bar: numbers say the same
        return _cut(f"{_cut(name, max(room, 1))}{_GAP}{right}", width)

    def _bar(self, width: int, marks: tuple[str, str]) -> str:
        done = min(width, int(width * self.step / max(self.num_steps, 1)))
        return marks[0] * done + marks[1] * (width - done)


def _marks(console: Console) -> tuple[str, str]:
    """What is done and what is not, in letters that the terminal has."""
    return ("━", "─") if console.encoding.startswith("utf") else ("=", "-")


def _cut(text: str, width: int) -> str:
    """Text of at most `width` letters; three points say that there is more."""
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."[:width]


def _clock(seconds: float) -> str:
    """Seconds as «4:05» or «1:02:10»."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
