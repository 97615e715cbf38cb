"""Comparisons made by a person: which clips wait for an answer, and the answers on their way into
the step.

The step puts pairs of clips into its state (`Waiting`). Before the next, `PersonSource` shows what
is new at a `Desk`, from which a page takes it, and hands the answers that came meanwhile to the
step as its batch. The desk writes down each answer, and the step that it went into: a run that was
killed goes on with all of them, and takes the very course that it took before.
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
from ml_collections import ConfigDict

from research.core.errors import UserError
from research.core.experiment import Source
from research.papers.human_preferences.clips import Clip, Pairs
from research.training.loop import Stopped

log = logging.getLogger("landmarks")

ANSWERS = ("left", "right", "same", "skip")  # 1 to 4 in a batch; 0: not yet
JOURNAL = "answers.jsonl"
_PREFERENCE = (0.5, 1.0, 0.0, 0.5, 0.5)


@flax.struct.dataclass
class Waiting:
    """Room for W queries. Attributes: pairs `[W, K, ...]`; number `[W]` of the query, counted from
    0 over the run; asked, how many there were."""

    pairs: Pairs
    number: jax.Array
    asked: jax.Array

    @classmethod
    def empty(cls, room: int, like: Clip) -> Waiting:
        """`like`: shapes of clips `[Q, K, ...]`."""

        def clips() -> Any:
            return jax.tree.map(lambda s: jnp.zeros((room, *s.shape[1:]), s.dtype), like)

        pairs = Pairs(clips(), clips(), jnp.zeros(room, bool))
        return cls(pairs, jnp.full(room, -1), jnp.int32(0))

    def take(self, answer: jax.Array) -> tuple[Waiting, Pairs, jax.Array]:
        """Without the queries that have an answer `[W]`; their pairs, of which those that were not
        skipped are present; and the preferences `[W]`."""
        given = self.pairs.present & (answer > 0)
        counted = self.pairs._replace(present=given & (answer <= ANSWERS.index("same") + 1))
        left = self.pairs._replace(present=self.pairs.present & ~given)
        return dataclasses.replace(self, pairs=left), counted, jnp.asarray(_PREFERENCE)[answer]

    def add(self, pairs: Pairs) -> Waiting:
        """With those of the pairs `[Q]` that are present, as far as there is room."""
        place = jnp.argsort(self.pairs.present, stable=True)[: len(pairs.present)]
        rank = jnp.cumsum(pairs.present) - 1
        fits = pairs.present & ~self.pairs.present[place]
        place = jnp.where(fits, place, len(self.number))  # out of range: left out
        return Waiting(
            jax.tree.map(lambda room, new: room.at[place].set(new, mode="drop"), self.pairs, pairs),
            self.number.at[place].set(self.asked + rank, mode="drop"),
            self.asked + pairs.present.sum(),
        )


@dataclasses.dataclass(frozen=True)
class Film:
    """A pair of clips to be looked at. Attributes: left, right, PNG of all frames side by side;
    frames, how many."""

    left: bytes
    right: bytes
    frames: int


class Desk:
    """Where queries lie until a person answers; every method may be called from any thread.

    Attributes:
      total: number of queries of the whole run.

    Args:
      folder: of the run; answers are kept there.
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
            for line in journal.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):  # cut off when the run was killed
                    entry = json.loads(line)
                    if "answer" in entry:
                        self._answers[entry["query"]] = entry["answer"]
                    else:
                        self._taken[entry["query"]] = entry["step"]
            _end_line(journal)

    def offer(self, number: int, film: Film) -> None:
        with self._changed:
            self._films[number] = film

    def offered(self, number: int) -> bool:
        with self._changed:
            return number in self._films

    def next(self) -> tuple[int, Film] | None:
        """The oldest query without an answer."""
        with self._changed:
            open_ = sorted(self._films.keys() - self._answers.keys())
            return (open_[0], self._films[open_[0]]) if open_ else None

    def remaining(self) -> int:
        """How many queries of the run have no answer yet."""
        with self._changed:
            return max(self.total - len(self._answers), 0)

    def answer(self, number: int, answer: str) -> str:
        """Takes an answer; "ok", "unknown" query or "answered" before, when the first stays."""
        with self._changed:
            if number in self._answers:
                return "answered"
            if number not in self._films:
                return "unknown"
            self._write({"query": number, "answer": answer})
            self._answers[number] = answer
            self._films[number] = Film(b"", b"", 0)
            self._changed.notify_all()
            return "ok"

    def take(self, step: int, numbers: list[int], least: int) -> dict[int, str]:
        """Answers to the queries `numbers` for a step, once at least so many of them have one, or
        those that the step was given before the run was killed."""
        with self._changed:
            if step <= max(self._taken.values(), default=-1):
                return {n: self._answers[n] for n in numbers if self._taken.get(n) == step}
            with _interruptible():
                while len(self._answers.keys() & set(numbers)) < least:
                    self._changed.wait(0.2)
            found = {n: self._answers[n] for n in numbers if n in self._answers}
            for number in found:
                self._write({"query": number, "step": step})
                self._taken[number] = step
            return found

    def _write(self, entry: dict[str, Any]) -> None:
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


class PersonSource(Source):
    """A person's answers as the step's batch `{"answer": [W] int32, "inner": the environment's}`.

    Args:
      queries: `config.queries`. Before the policy begins to learn all queries have an answer.
      most: queries of one step; before each there is room for as many.
      find: gives the `Waiting` in the experiment's state.
      picture: of a clip, the PNG of a `Film`.
      inner: source of the environment, if it has one.
    """

    prefetch, every_step = 0, True  # answers are of the pairs that wait
    sized_by = "queries.waiting"

    def __init__(
        self,
        queries: ConfigDict,
        most: int,
        find: Callable[[Any], Waiting],
        picture: Callable[[Clip], bytes],
        inner: Source | None,
    ):
        room = queries.waiting
        if jax.process_count() > 1:
            raise UserError("queries.labeller=person is for one process")
        if room < most:
            raise UserError(f"queries.waiting={room} is less than the {most} queries of one step")
        self.room, self.most, self.first = room, most, queries.initial_steps
        self.find, self.picture, self.inner = find, picture, inner
        self.desk: Desk | None = None  # there once the run has a folder
        answers = jax.ShapeDtypeStruct((room,), jnp.int32)
        self.spec = {"answer": answers, "inner": inner.spec if inner else answers}
        self._step = 0

    def open(self) -> None:
        if self.inner:
            self.inner.open()

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        assert self.desk is not None
        waiting = self.find(state)
        present, number = jax.device_get((waiting.pairs.present, waiting.number))
        slots = {int(number[i]): int(i) for i in np.flatnonzero(present)}
        for query, slot in slots.items():
            if not self.desk.offered(query):
                both = waiting.pairs.left, waiting.pairs.right
                left, right = jax.device_get(jax.tree.map(lambda x, i=slot: x[i], both))
                self.desk.offer(
                    query, Film(self.picture(left), self.picture(right), len(left.observation))
                )
        least = len(slots) - (0 if self._step == self.first else self.room - self.most)
        given = self.desk.take(self._step, list(slots), least)
        answer = np.zeros(self.room, np.int32)
        for query, word in given.items():
            answer[slots[query]] = ANSWERS.index(word) + 1
        self._step += 1
        return {"answer": answer, "inner": self.inner(state) if self.inner else answer}

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
