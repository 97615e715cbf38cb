"""Language-model batches: documents packed into rows of one length (Brown et al. 2020, 2.3).

Documents follow one another with an end-of-text token between them, nothing is padded, and
attention may cross from one document into the next. A row is T + 1 tokens, the last of which is the
first of the row after it in the text: each token but the first is predicted exactly once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from research.core import Source
from research.core.errors import UserError
from research.data.text.batch_ramp import BatchRamp


class Rows(Protocol):
    """An endless sequence of rows of tokens `[T + 1]`, each a function of its number."""

    @property
    def origin(self) -> str:
        """Which data they come from."""

    def __getitem__(self, index: int) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True)
class Documents:
    """Token ids of many documents, each with its end-of-text token.

    Attributes:
      tokens: all of them, one after the other.
      ends: `[N]`, where each document ends in `tokens`.
      origin: which data they come from.
    """

    tokens: np.ndarray
    ends: np.ndarray
    origin: str = ""

    @classmethod
    def of(cls, encoded: Iterable[np.ndarray], end_of_text: int, origin: str = "") -> Documents:
        pieces = [np.append(ids, np.array(end_of_text, np.int32)) for ids in encoded]
        ends = np.cumsum([len(piece) for piece in pieces])
        return cls(np.concatenate(pieces).astype(np.int32), ends, origin)


class PackedRows:
    """Rows of `length` + 1 tokens out of documents, without end.

    Every epoch has a new order of the documents, another first token and a new order of the rows.
    """

    def __init__(self, documents: Documents, length: int, seed: int):
        """Raises UserError where there are not enough tokens for a single row."""
        self.documents, self.length, self.seed = documents, length, seed
        self.origin = documents.origin
        self.per_epoch = len(documents.tokens) // length - 1
        if self.per_epoch < 1:
            raise UserError(f"{len(documents.tokens)} tokens are too few for rows of {length}")
        self._epoch = -1

    def __getitem__(self, index: int) -> np.ndarray:
        epoch, row = divmod(index, self.per_epoch)
        self._shuffle(epoch)
        first = self._offset + int(self._rows[row]) * self.length
        return self._take(first, self.length + 1)

    def _shuffle(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        rng = np.random.default_rng((self.seed, epoch))
        lengths = np.diff(self.documents.ends, prepend=0)
        self._order = rng.permutation(len(lengths))
        self._ends = np.cumsum(lengths[self._order])
        self._offset = int(rng.integers(self.length))
        self._rows = rng.permutation(self.per_epoch)
        self._epoch = epoch

    def _take(self, first: int, count: int) -> np.ndarray:
        """`count` tokens from the `first` of the epoch's text."""
        pieces, place = [], int(np.searchsorted(self._ends, first, side="right"))
        while count:
            end = self.documents.ends[self._order[place]]
            left = min(int(self._ends[place]) - first, count)
            begin = end - (self._ends[place] - first)
            pieces.append(self.documents.tokens[begin : begin + left])
            first, count, place = first + left, count - left, place + 1
        return np.concatenate(pieces)


class MixedRows:
    """Rows of several sets in given shares, whatever the sizes of the sets (GPT-3, table 2.2)."""

    _BLOCK = 1000  # in each block of so many rows the shares are exact

    def __init__(self, sets: Sequence[Rows], weights: Sequence[float], seed: int):
        self.sets, self.seed = sets, seed
        self.origin = "; ".join(
            f"{weight:g} of {rows.origin}" for weight, rows in zip(weights, sets, strict=True)
        )
        shares = np.cumsum(weights) / np.sum(weights)
        self.quotas = np.diff(np.round(shares * self._BLOCK).astype(int), prepend=0)
        self._block = -1

    def __getitem__(self, index: int) -> np.ndarray:
        block, row = divmod(index, self._BLOCK)
        if block != self._block:
            chosen = np.repeat(np.arange(len(self.sets)), self.quotas)
            self._chosen = np.random.default_rng((self.seed, block)).permutation(chosen)
            self._block = block
        which = self._chosen[row]
        earlier = int(np.sum(self._chosen[:row] == which))
        return self.sets[which][block * int(self.quotas[which]) + earlier]


class TokenBatches(Source):
    """Batches `{"tokens": [N, T + 1]}`; N follows a ramp, rows come in the order of their numbers.

    Batch t is a function of t alone; each process makes its own rows of it.
    """

    def __init__(self, open_rows: Callable[[], Rows], ramp: BatchRamp):
        self.open_rows, self.ramp = open_rows, ramp
        shape = (ramp.max_rows, ramp.tokens_per_row + 1)
        self.spec = {"tokens": jax.ShapeDtypeStruct(shape, np.int32)}
        self.row_counts = [rows for rows, _ in ramp.levels]
        if len(ramp.levels) > 1:
            self.sized_by = "batch.multiple, and with it batch.rows,"
        self.step = 0
        self._rows: Rows | None = None

    def open(self) -> None:
        if self._rows is None:
            self._rows = self.open_rows()
            self.origin = self._rows.origin

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        self.open()
        assert self._rows is not None
        share = self.ramp.rows(self.step) // jax.process_count()
        first = self.ramp.rows_before(self.step) + share * jax.process_index()
        self.step += 1
        rows = [self._rows[i] for i in range(first, first + share)]
        return {"tokens": np.stack(rows).astype(np.int32)}

    def get_state(self) -> dict[str, int]:
        return {"step": self.step}

    def set_state(self, state: dict[str, int]) -> None:
        self.step = state["step"]
