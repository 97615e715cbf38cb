"""The original releases' own files: what a set consists of, and checks before it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from research.core.errors import UserError, quoted
from research.data.dataset import Dataset, Lazy, Record, parse_split, slice_records
from research.data.sources.readers.opening import naming


@dataclasses.dataclass(frozen=True)
class RawSet:
    """A data set as a folder of files.

    Attributes:
      folder: name of the folder.
      source: where the files come from, for the message that says they are missing.
      sizes: file -> bytes, so that a copy that was cut off, or another edition, is noticed before
        it is read.
      counts: split -> number of records.
      read: `(folder, split) -> records`.
      what: how the files differ from the whole data set, for the record of a run.
    """

    folder: str
    source: str
    sizes: Mapping[str, int]
    counts: Mapping[str, int]
    read: Callable[[Path, str], Sequence[Record]]
    what: str = "original files"


def read(raw: RawSet, folder: Path, name: str, split: str) -> Dataset:
    """Opens one split of the set `name` in `<folder>/<raw.folder>`.

    Raises:
      UserError: no such split; a file is missing, damaged or of another size; records are missing.
    """
    base, start, stop = parse_split(split)
    if base not in raw.counts:
        raise UserError(f"data set {name!r} has no split {base!r}; it has {', '.join(raw.counts)}")
    place = folder / raw.folder
    for file, size in raw.sizes.items():
        path = place / file
        if not path.is_file():
            raise UserError(f"{path} is missing; get it from {raw.source}")
        if path.stat().st_size != size:
            raise UserError(
                f"{path} has {path.stat().st_size} bytes instead of {size}: truncated, or another "
                f"edition; get it again from {raw.source}"
            )
    with naming(place):
        records = raw.read(place, base)
    if len(records) != raw.counts[base]:
        raise UserError(
            f"{place} holds {len(records)} records of split {base!r} instead of "
            f"{raw.counts[base]}; get it again from {raw.source}"
        )
    if isinstance(records, Lazy):
        records = records.within(lambda entry: naming(place, quoted(entry)))
    chosen = slice_records(records, start, stop)
    return Dataset(chosen, f"{name}, split {split}, {raw.what} at {place}")
