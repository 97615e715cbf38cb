"""Pairs of segments out of documents: the second follows the first, or is from another document
(Devlin et al. 2018, section 3.1 and appendix A.2, with the released code's order of events).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from research.core import Source
from research.core.errors import UserError

Document = Sequence[np.ndarray]  # sentences, each the ids of its pieces

_TRIES = 10  # for a document that is another one


class Pair(NamedTuple):
    """Two segments.

    Attributes:
      first, second: ids; `second` may be empty where no pair is asked for.
      random: whether the second one is from another document.
    """

    first: np.ndarray
    second: np.ndarray
    random: bool


class Phase(NamedTuple):
    """A part of training with rows of one length.

    Attributes:
      steps: batches.
      length: tokens of a row, three of them special.
      predictions: that a row has at most.
    """

    steps: int
    length: int
    predictions: int


def pairs_of(
    documents: Sequence[Document],
    index: int,
    room: int,
    rng: np.random.Generator,
    *,
    short_share: float = 0.1,
    random_share: float = 0.5,
) -> Iterator[Pair]:
    """Pairs out of one document, whose sentences are all used.

    Sentences are taken until they fill the room, and are cut into two at random. With probability
    `random_share`, and wherever there is one sentence alone, the second part is replaced by
    sentences of another document, and goes back to be used next.

    Args:
      documents: all; none is empty.
      index: which one.
      room: pieces of both segments together.
      rng: decides.
      short_share: how often the length that is aimed at is drawn from 2 to `room` instead.
      random_share: how often the second segment is another; with 0 nothing is ever replaced, and
        a single sentence has no second segment.
    """
    document = documents[index]
    target = int(rng.integers(2, room + 1)) if rng.random() < short_share else room
    chunk: list[np.ndarray] = []
    i = 0
    while i < len(document):
        chunk.append(document[i])
        i += 1
        if i < len(document) and sum(map(len, chunk)) < target:
            continue
        split = int(rng.integers(1, len(chunk))) if len(chunk) > 1 else 1
        first, rest = np.concatenate(chunk[:split]), chunk[split:]
        other = random_share > 0 and (not rest or rng.random() < random_share)
        if other:
            second = _from_another(documents, index, target - len(first), rng)
            i -= len(rest)
        else:
            second = np.concatenate(rest) if rest else np.zeros(0, np.int32)
        first, second = truncated(first, second, room, rng)
        yield Pair(first, second, other)
        chunk = []


def _from_another(
    documents: Sequence[Document], index: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Sentences of another document from a random one on, `size` pieces or a little more."""
    for _ in range(_TRIES):
        chosen = int(rng.integers(len(documents)))
        if chosen != index:
            break
    document = documents[chosen]
    taken: list[np.ndarray] = []
    for sentence in document[int(rng.integers(len(document))) :]:
        taken.append(sentence)
        if sum(map(len, taken)) >= size:
            break
    return np.concatenate(taken)


def truncated(
    first: np.ndarray, second: np.ndarray, room: int, rng: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Both segments, shortened piece by piece until they fit, always the longer one.

    It loses its first or its last piece at random, and without `rng` its last.
    """
    sides = [first, second]
    while len(sides[0]) + len(sides[1]) > room:
        longer = int(len(sides[1]) >= len(sides[0]))
        at_front = rng is not None and rng.random() < 0.5
        sides[longer] = sides[longer][1:] if at_front else sides[longer][:-1]
    return sides[0], sides[1]


def laid_out(
    first: np.ndarray, second: np.ndarray, cls: int, sep: int
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and segments of [CLS] first [SEP] second [SEP], or of [CLS] first [SEP] alone."""
    tokens = [np.array([cls]), first, np.array([sep])]
    sizes = [len(first) + 2, 0]
    if len(second):
        tokens += [second, np.array([sep])]
        sizes[1] = len(second) + 1
    return np.concatenate(tokens).astype(np.int32), np.repeat([0, 1], sizes).astype(np.int32)


def padded_row(row: Mapping[str, Any], length: int) -> dict[str, np.ndarray]:
    """A row whose "tokens" and "segments" `[N]` are filled with zeros, and its "length" N."""
    found = {name: np.asarray(value) for name, value in row.items()}
    size = len(found["tokens"])
    for name in ("tokens", "segments"):
        filled = np.zeros(length, np.int32)
        filled[:size] = found[name]
        found[name] = filled
    return {**found, "length": np.array(size, np.int32)}


MakeRow = Callable[[Pair, Phase, np.random.Generator], dict[str, np.ndarray]]


class PairBatches(Source):
    """Batches of pairs, in phases of different lengths.

    Documents are made into pairs some thousands at a time, and these pairs come in random order;
    what fills no batch is left out. What is drawn, hidden words included, repeats every
    `repeat_epochs`, in another order. Batch t is a function of the seed, whatever the number of
    processes: each takes its rows of it.

    Args:
      open_documents: gives the documents and says where they come from; called by `open`.
      make_row: a pair, the phase and a generator to arrays of one shape in a phase.
      row: name -> `jax.ShapeDtypeStruct` of a row of the longest phase.
      phases: one after the other; the last goes on for as long as it is asked.
      rows: of a global batch.
      seed: decides.
      repeat_epochs: epochs after which the same pairs come again, as they were.
      random_share, short_share: see `pairs_of`.
      together: documents at a time.
    """

    def __init__(
        self,
        open_documents: Callable[[], tuple[Sequence[Document], str]],
        make_row: MakeRow,
        row: Mapping[str, jax.ShapeDtypeStruct],
        phases: Sequence[Phase],
        rows: int,
        seed: int,
        *,
        repeat_epochs: int = 10,
        random_share: float = 0.5,
        short_share: float = 0.1,
        together: int = 10_000,
    ):
        self.open_documents, self.make_row = open_documents, make_row
        self.phases, self.rows, self.seed = tuple(phases), rows, seed
        self.repeat_epochs, self.together = repeat_epochs, together
        self.shares = {"random_share": random_share, "short_share": short_share}
        self.spec = {
            name: jax.ShapeDtypeStruct((rows, *s.shape), s.dtype) for name, s in row.items()
        }
        self._position = {"step": 0, "phase": 0, "epoch": 0, "block": 0, "batch": 0}
        self._documents: Sequence[Document] | None = None
        self._block: tuple[Any, list[Pair], np.ndarray] | None = None

    def open(self) -> None:
        """Opens the documents.

        Raises:
          UserError: a pair needs two of them; or all of them fill no batch.
        """
        if self._documents is not None:
            return
        documents, origin = self.open_documents()
        if len(documents) < (2 if self.shares["random_share"] else 1):
            raise UserError(
                f"{origin}: {len(documents)} documents; a random second segment needs two or more"
            )
        self._documents, self.origin = documents, origin
        begun = self._position
        for phase in range(len(self.phases)):
            self._position = {**begun, "phase": phase, "epoch": 0, "block": 0}
            if (found := len(self._pairs()[0])) < self.rows:
                raise UserError(f"{origin}: {found} pairs fill no batch of {self.rows}")
        self._position = begun

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        self.open()
        pairs, order = self._pairs()
        at, phase = self._position, self.phases[self._position["phase"]]
        first = at["batch"] * self.rows
        share = self.rows // jax.process_count()
        mine = order[first : first + self.rows][jax.process_index() * share :][:share]
        drawn = self._drawn()
        made = [
            self.make_row(pairs[i], phase, np.random.default_rng((*drawn, int(i)))) for i in mine
        ]
        self._advance(len(order))
        return {name: np.stack([row[name] for row in made]) for name in self.spec}

    def get_state(self) -> dict[str, Any]:
        return dict(self._position)

    def set_state(self, state: dict[str, Any]) -> None:
        self._position = dict(state)

    def _drawn(self) -> tuple[int, ...]:
        """What decides on the pairs of a block, and on what is hidden in them."""
        at = self._position
        return self.seed, at["phase"], at["epoch"] % self.repeat_epochs, at["block"]

    def _pairs(self) -> tuple[list[Pair], np.ndarray]:
        """The pairs of this block, and the order that they come in."""
        assert self._documents is not None
        at = self._position
        key = (at["phase"], at["epoch"], at["block"])
        if self._block is None or self._block[0] != key:
            documents = self._documents
            begin = at["block"] * self.together
            room = self.phases[at["phase"]].length - 3
            rng = np.random.default_rng(self._drawn())
            pairs = [
                pair
                for i in range(begin, min(begin + self.together, len(documents)))
                for pair in pairs_of(documents, i, room, rng, **self.shares)
            ]
            order = np.random.default_rng((self.seed, *key, 1)).permutation(len(pairs))
            self._block = key, pairs, order
        return self._block[1], self._block[2]

    def _advance(self, pairs: int) -> None:
        assert self._documents is not None
        at = self._position
        at["step"] += 1
        ends = np.cumsum([phase.steps for phase in self.phases])
        phase = min(int(np.searchsorted(ends, at["step"], side="right")), len(self.phases) - 1)
        if phase != at["phase"]:
            at |= {"phase": phase, "epoch": 0, "block": 0, "batch": 0}
            return
        at["batch"] += 1
        while (at["batch"] + 1) * self.rows > pairs:
            at["batch"], at["block"] = 0, at["block"] + 1
            if at["block"] * self.together >= len(self._documents):
                at["block"], at["epoch"] = 0, at["epoch"] + 1
            pairs = len(self._pairs()[0])
