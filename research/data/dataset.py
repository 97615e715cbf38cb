"""What `load` returns: records by index, with a line that says where they come from."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from research.core.errors import UserError

Record = dict[str, Any]


class Dataset(Sequence[Record]):
    """Random access to one split: `len(dataset)`, `dataset[i]`.

    A record is a dictionary of NumPy arrays, numbers and `str`, possibly nested.

    Attributes:
      origin: which data this is and where it was found, for the result of a run.
      class_names: what the numbers of "label" stand for; () where it is not known.
    """

    def __init__(self, records: Sequence[Record], origin: str, class_names: Sequence[str] = ()):
        self._records = records
        self.origin = origin
        self.class_names = tuple(class_names)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index):  # an integer only: a slice is part of the split's name
        return self._records[index]

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Dataset({len(self)} records, {self.origin})"

    def arrays(self) -> dict[str, np.ndarray]:
        """The whole split in memory: feature -> array `[N, ...]`.

        For small sets whose features have one shape. Features that are text are left out.
        """
        records = list(self)
        names = [k for k, v in records[0].items() if not isinstance(v, str | tuple | dict)]
        return {name: np.stack([record[name] for record in records]) for name in names}

    def in_memory(self) -> Dataset:
        """The same records out of `arrays()`: many epochs over small images are decoded once."""
        return Dataset(Rows(self.arrays()), self.origin, self.class_names)


class Rows(Sequence[Record]):
    """Arrays `[N, ...]` in memory as N records."""

    def __init__(self, values: Mapping[str, np.ndarray]):
        self._values = values

    def __len__(self) -> int:
        return len(next(iter(self._values.values())))

    def __getitem__(self, index):
        return {name: value[index] for name, value in self._values.items()}


class Lazy(Sequence[Record]):
    """Records made on access: `read(entries[i])`."""

    def __init__(self, entries: Sequence[Any], read: Callable[[Any], Record]):
        self._entries = entries
        self._read = read

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index):
        return self._read(self._entries[index])

    def within(self, context: Callable[[Any], contextlib.AbstractContextManager]) -> Lazy:
        """The same records, each read within `context(entry)`, such as one that names the file."""

        def read(entry: Any) -> Record:
            with context(entry):
                return self._read(entry)

        return Lazy(self._entries, read)


def parse_split(split: str) -> tuple[str, str, str]:
    """`"train[10%:90%]"` -> `("train", "10%", "90%")`; a missing end is "".

    Raises:
      UserError: not of this form, which is the part of the TFDS syntax that raw files have too.
    """
    match = re.fullmatch(r"([\w-]+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?", split)
    if not match:
        raise UserError(f"split {split!r} is not understood; write 'train' or 'train[10%:90%]'")
    return match[1], match[2] or "", match[3] or ""


def slice_records(records: Sequence[Any], start: str, stop: str) -> Sequence[Any]:
    """The part of `records` between two ends as `parse_split` gives them."""
    size = len(records)

    def position(end: str, default: int) -> int:
        if not end:
            return default
        if not end.endswith("%"):
            return int(end)
        return round(int(end[:-1]) * size / 100)  # to the closest record, as TFDS does

    chosen = range(size)[slice(position(start, 0), position(stop, size))]
    return records if len(chosen) == size else Lazy(chosen, records.__getitem__)
