"""Labels, compared with the number of classes as they are read.

What is no class gives no error later: a label above indexes outside the logits, one below zero
counts from their end, and the loss or the error is a wrong number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from research.core.errors import UserError, quoted
from research.data.dataset import Dataset, Lazy, Record

_SAMPLE = 16  # records


def with_labels(records: Sequence[Record], num_classes: int) -> Dataset:
    """The same records; one whose "label" is no class is refused when it is read.

    Args:
      records: a `Dataset`, or a sequence that says no `origin`.
      num_classes: K; labels are 0 to K - 1.
    """

    def read(index: int) -> Record:
        record = records[index]
        _check(record, index, records, num_classes)
        return record

    class_names = getattr(records, "class_names", ())
    return Dataset(Lazy(range(len(records)), read), getattr(records, "origin", ""), class_names)


def check_sample(records: Sequence[Record]) -> None:
    """Reads a few records from all over a set, so that a wrong set is noticed before training.

    Raises:
      UserError: there are none; or whatever reading them raises.
    """
    if not len(records):
        raise UserError(f"{records!r} is empty; choose another split")
    for index in sorted(set(np.linspace(0, len(records) - 1, _SAMPLE).astype(int).tolist())):
        records[index]


def _check(record: Record, index: int, records: Sequence[Record], num_classes: int) -> None:
    where = f"record {index} of {records!r}"
    if "label" not in record:
        raise UserError(f"{where} has no label, but {_few(list(record))}; choose another data set")
    label = np.asarray(record["label"])
    if label.shape or label.dtype.kind not in "iu":
        raise UserError(f"{where} has the label {quoted(record['label'])}, which is no number")
    if not 0 <= label < num_classes:
        why = "a split without labels" if label < 0 else "labels that count from 1, or more classes"
        raise UserError(
            f"{where} has the label {label}, but {num_classes} classes are 0 to {num_classes - 1}: "
            f"{why}? Choose another split, or set --config.data.num_classes"
        )


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) or "nothing"
