"""Comparisons made by a person: which clips wait for an answer, and the answers on their way into
the step.

The step puts pairs of clips into its state (`PendingQueries`). Before the next step, `PersonSource`
shows what is new at a `Desk`, from which a page takes it, and hands the answers that came meanwhile
to the step as its batch. The desk writes down each answer, and the step that it went into: a run
that was killed goes on with all of them, and takes the very course that it took before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError, quoted
from research.core.experiment import Source
from research.core.reading import read_text
from research.papers.human_preferences.clips import Clip, Pairs
from research.training.loop import Stopped

log = logging.getLogger("landmarks")

ANSWERS = ("left", "right", "same", "skip")  # 1 to 4 in a batch; 0: not yet
JOURNAL = "answers.jsonl"
_PREFERENCE = (0.5, 1.0, 0.0, 0.5, 0.5)  # by the number in a batch


class PendingQueries(flax.struct.PyTreeNode):
    """Room for W queries without an answer.

    Attributes:
      pairs: `[W, K, ...]`.
      number: `[W]` of the query, counted from 0 over the run.
      asked: how many queries there were.
    """

    pairs: Pairs
    number: jax.Array
    asked: jax.Array

    @classmethod
    def empty(cls, room: int, like: Clip) -> PendingQueries:
        """Room for `room` queries about clips of the shapes `like` `[Q, K, ...]`."""

        def clips() -> Any:
            return jax.tree.map(lambda s: jnp.zeros((room, *s.shape[1:]), s.dtype), like)

        pairs = Pairs(clips(), clips(), jnp.zeros(room, bool))
        return cls(pairs, jnp.full(room, -1), jnp.int32(0))

    def take(self, answer: jax.Array) -> tuple[PendingQueries, Pairs, jax.Array]:
        """Takes the queries out that were answered.

        Args:
          answer: `[W]` int32, a place in `ANSWERS` plus 1; 0 for not yet.

        Returns:
          The queries that are left; the answered pairs, of which those that were not skipped are
          present; and the preferences `[W]`, as in `Comparisons`.
        """
        given = self.pairs.present & (answer > 0)
        counted = self.pairs._replace(present=given & (answer <= ANSWERS.index("same") + 1))
        left = self.pairs._replace(present=self.pairs.present & ~given)
        return self.replace(pairs=left), counted, jnp.asarray(_PREFERENCE)[answer]

    def add(self, pairs: Pairs) -> PendingQueries:
        """Adds those of the pairs `[Q]` that are present, as far as there is room."""
        place = jnp.argsort(self.pairs.present, stable=True)[: len(pairs.present)]
        rank = jnp.cumsum(pairs.present) - 1
        fits = pairs.present & ~self.pairs.present[place]
        place = jnp.where(fits, place, len(self.number))  # out of range: left out
        return PendingQueries(
            jax.tree.map(lambda room, new: room.at[place].set(new, mode="drop"), self.pairs, pairs),
            self.number.at[place].set(self.asked + rank, mode="drop"),
            self.asked + pairs.present.sum(),
        )


@dataclasses.dataclass(frozen=True)
class Film:
    """A pair of clips to be looked at.

    Attributes:
      left, right: PNGs of all frames side by side.
      frames: how many there are.
    """

    left: bytes
    right: bytes
    frames: int


class Desk:
    """Where queries lie until a person answers; every method may be called from any thread.

    Attributes:
      total: number of queries of the whole run.

    Args:
      folder: of the run; answers are kept there.
      total: number of queries of the whole run.
    """

    def __init__(self, folder: Path, total: int):
        self.total = total
        folder.mkdir(parents=True, exist_ok=True)
        journal = self._journal = folder / JOURNAL
        self._changed = threading.Condition()
        self._films: dict[int, Film] = {}
        self._answers: dict[int, str] = {}
        self._taken: dict[int, int] = {}  # query -> the step that it went into
        if journal.exists():
            for entry in read_journal(journal):
                if "answer" in entry:
                    self._answers[entry["query"]] = entry["answer"]
                else:
                    self._taken[entry["query"]] = entry["step"]
            _end_line(journal)

    def offer(self, number: int, film: Film) -> None:
        """Puts a query where a person finds it."""
        with self._changed:
            self._films[number] = film

    def has(self, number: int) -> bool:
        """Whether a query was offered, answered or not."""
        with self._changed:
            return number in self._films

    def next(self) -> tuple[int, Film] | None:
        """The oldest query without an answer; None where all have one."""
        with self._changed:
            unanswered = self._films.keys() - self._answers.keys()
            if not unanswered:
                return None
            oldest = min(unanswered)
            return oldest, self._films[oldest]

    def remaining(self) -> int:
        """How many queries of the run have no answer yet."""
        with self._changed:
            return max(self.total - len(self._answers), 0)

    def answer(self, number: int, answer: str) -> str:
        """Takes a person's answer to a query.

        Returns:
          "ok"; "unknown", there is no such query; "answered" before, and that answer stays.
        """
        with self._changed:
            if number in self._answers:
                return "answered"
            if number not in self._films:
                return "unknown"
            self._write({"query": number, "answer": answer})
            self._answers[number] = answer
            self._films[number] = Film(b"", b"", 0)  # the pictures are needed no more
            self._changed.notify_all()
            return "ok"

    def take(self, step: int, numbers: list[int], min_answers: int) -> dict[int, str]:
        """Answers for a step; waits until there are enough.

        Args:
          step: that the answers go into.
          numbers: of the queries that have had no answer in the steps before.
          min_answers: how many of them must have one.

        Returns:
          Query to answer, of all that have one; or, for a step that was made before the run was
          killed, what it was given then.
        """
        with self._changed:
            if step <= max(self._taken.values(), default=-1):
                return {n: self._answers[n] for n in numbers if self._taken.get(n) == step}
            with _interruptible():
                while len(self._answers.keys() & set(numbers)) < min_answers:
                    self._changed.wait(0.2)
            answers = {n: self._answers[n] for n in numbers if n in self._answers}
            for number in answers:
                self._write({"query": number, "step": step})
                self._taken[number] = step
            return answers

    def _write(self, entry: dict[str, Any]) -> None:
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal: answers `{"query", "answer"}`, and steps `{"query", "step"}`.

    A line that was cut off when the run was killed is passed over.

    Raises:
      UserError: another line is damaged; without it the run would take another course.
    """
    entries = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            if line and not line.startswith("{"):  # no beginning of one of ours
                raise UserError(f"{path} is damaged: line {number} is {quoted(line)}") from None
            continue
        if not _is_entry(entry):
            raise UserError(f"{path} is damaged: line {number} is {quoted(line)}")
        entries.append(entry)
    return entries


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or type(entry.get("query")) is not int:
        return False
    if "answer" in entry:
        return entry["answer"] in ANSWERS
    return type(entry.get("step")) is int


class PersonSource(Source):
    """A person's answers as the step's batch `{"answer": [W] int32, "inner": the environment's}`.

    Attributes:
      desk: set once the run has a folder.

    Args:
      room: W, queries without an answer with which the policy goes on.
      max_queries: of one step; before each step there is room for as many.
      initial_steps: steps of the random policy; before the policy begins to learn all queries have
        an answer.
      find: gives the `PendingQueries` in the experiment's state.
      draw: of a clip, the PNG of a `Film`.
      inner: source of the environment, if it has one.

    Raises:
      UserError: there is less room than a step needs, or there are several processes.
    """

    prefetch = 0
    every_step = True  # answers are to the queries of this very state
    sized_by = "queries.waiting"

    def __init__(
        self,
        *,
        room: int,
        max_queries: int,
        initial_steps: int,
        find: Callable[[Any], PendingQueries],
        draw: Callable[[Clip], bytes],
        inner: Source | None,
    ):
        if jax.process_count() > 1:
            raise UserError("queries.labeller=person is for one process")
        if room < max_queries:
            raise UserError(
                f"queries.waiting={room} is less than the {max_queries} queries of one step"
            )
        self.room, self.max_queries, self.initial_steps = room, max_queries, initial_steps
        self.find, self.draw, self.inner = find, draw, inner
        self.desk: Desk | None = None
        answers = jax.ShapeDtypeStruct((room,), jnp.int32)
        self.spec = {"answer": answers, "inner": inner.spec if inner else answers}
        self._step = 0

    def open(self) -> None:
        if self.inner:
            self.inner.open()

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        assert self.desk is not None
        pending = self.find(state)
        present, number = jax.device_get((pending.pairs.present, pending.number))
        places = {int(number[i]): int(i) for i in np.flatnonzero(present)}
        for query, place in places.items():
            if not self.desk.has(query):
                self.desk.offer(query, self._film(pending.pairs, place))

        # The policy goes on while there is room for another step's queries; but it does not begin
        # to learn before all have been answered.
        may_wait = 0 if self._step == self.initial_steps else self.room - self.max_queries
        given = self.desk.take(self._step, list(places), len(places) - may_wait)
        answer = np.zeros(self.room, np.int32)
        for query, word in given.items():
            answer[places[query]] = ANSWERS.index(word) + 1
        self._step += 1
        return {"answer": answer, "inner": self.inner(state) if self.inner else answer}

    def _film(self, pairs: Pairs, place: int) -> Film:
        both = jax.tree.map(lambda x: x[place], (pairs.left, pairs.right))
        left, right = jax.device_get(both)
        return Film(self.draw(left), self.draw(right), len(left.observation))

    def get_state(self) -> dict[str, Any]:
        return {"step": self._step, "inner": self.inner.get_state() if self.inner else {}}

    def set_state(self, state: dict[str, Any]) -> None:
        self._step = state["step"]
        if self.inner:
            self.inner.set_state(state["inner"])


def _end_line(journal: Path) -> None:
    """Ends a line that was cut off, so that the next one is whole."""
    text = journal.read_bytes()
    if text and not text.endswith(b"\n"):
        with journal.open("ab") as file:
            file.write(b"\n")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGINT end the wait at once instead of after the step: nothing is lost."""

    def stop(*_: Any) -> None:
        raise Stopped("stopped while waiting for answers; those given are kept")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
