"""Data sets that Hugging Face's `datasets` has saved on this machine (`save_to_disk`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.core.errors import UserError, first_line, quoted
from research.data.dataset import Dataset, Lazy, Record, slice_records
from research.data.sources.own import splits
from research.data.sources.own.images import rgb
from research.data.sources.own.splits import Shares


@dataclasses.dataclass(frozen=True)
class _Columns:
    """How columns become features of a record.

    Attributes:
      names: column -> name here.
      kinds: column -> "image", "text", "label", "number" or "pair".
      class_names: of the label.
    """

    names: dict[str, str]
    kinds: dict[str, str]
    class_names: Sequence[str] = ()


def read(name: str, folder: Path, shares: Shares, split: str, start: str, stop: str) -> Dataset:
    """Records of a saved data set, with the names that scripts look for.

    The only image is "image" (uint8 `[H, W, 3]`), the only class label "label", the only text
    "text", whatever their columns are called; a translation is "source" and "target", in the order
    of its languages. Other columns keep their names; lists and the like are left out.

    Raises:
      UserError: `datasets` is not installed, there is no such split, or the folder holds no saved
        data set.
    """
    saved = _load(name, folder)
    if isinstance(saved, dict):
        splits.check_split(name, split, saved)
        table, how = saved[split], "split as saved"
        rows: Sequence[int] = range(len(table))
    else:
        splits.check_split(name, split, splits.SPLITS)
        table, how = saved, str(shares)
        rows = [i for i in range(len(table)) if shares.split(str(i)) == split]
    splits.not_empty(len(rows), split, name)
    columns = _columns(name, table.features)
    records: Sequence[Record] = Lazy(rows, lambda row: _record(table, int(row), columns, folder))
    origin = f"{len(rows)} records, {split}, {how} at {folder}"
    return Dataset(slice_records(records, start, stop), origin, columns.class_names)


def _load(name: str, folder: Path) -> Any:
    """A `datasets.Dataset`, or a dictionary of them by split."""
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"{quoted(name)} is read by Hugging Face's datasets: pip install -e '.[hf]'"
        ) from None
    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:  # Arrow, JSON and the file system have types of their own
        raise UserError(
            f"{folder} holds no data set that was saved by save_to_disk ({first_line(error)})"
        ) from error


def _columns(name: str, features: Any) -> _Columns:
    import datasets

    kinds: dict[str, str] = {}
    class_names: Sequence[str] = ()
    for column, feature in features.items():
        match feature:
            case datasets.Image():
                kinds[column] = "image"
            case datasets.ClassLabel():
                kinds[column], class_names = "label", feature.names
            case datasets.Translation():
                kinds[column] = "pair"
            case datasets.Value(dtype="string" | "large_string"):
                kinds[column] = "text"
            case datasets.Value():
                kinds[column] = "number"
    if not kinds:
        raise UserError(f"{quoted(name)} has no image, text, label or number: {list(features)}")
    names = {column: column for column in kinds}
    for kind in ("image", "label", "text"):
        alike = [column for column in kinds if kinds[column] == kind]
        if len(alike) == 1 and kind not in names:
            names[alike[0]] = kind
    return _Columns(names, kinds, class_names)


def _record(table: Any, row: int, columns: _Columns, folder: Path) -> Record:
    try:
        found = table[row]
        images = {c: rgb(found[c]) for c, k in columns.kinds.items() if k == "image" and found[c]}
    except Exception as error:  # an image that cannot be decoded, a file that is cut off
        raise UserError(f"{folder}, record {row}: {first_line(error)}") from error
    record: Record = {}
    for column, kind in columns.kinds.items():
        value = found[column]
        if value is None:
            raise UserError(f"{folder}, record {row}: {column} is empty")
        if kind == "image":
            record[columns.names[column]] = images[column]
        elif kind == "pair":
            record["source"], record["target"], *_ = value.values()
        elif kind == "number":
            record[columns.names[column]] = np.asarray(value)[()]
        else:
            record[columns.names[column]] = value
    return record
