"""Some classes of a data set, such as threes and sevens (arXiv:1412.6572, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from research.core.errors import UserError
from research.data.dataset import Dataset, Lazy, Record


class SomeClasses:
    """Splits with the records of some classes alone, which are numbered anew from 0.

    Args:
      open_split: `split -> Dataset` of records with a "label".
      classes: labels to keep, in the order of their new numbers; () for all, as they are.
    """

    def __init__(self, open_split: Callable[[str], Dataset], classes: Sequence[int]):
        self.open_split = open_split
        self.classes = tuple(classes)

    def __call__(self, split: str) -> Dataset:
        """Opens a split, such as "train[:6400]", of which the records are chosen.

        Raises:
          UserError: no record of a class is there.
        """
        whole = self.open_split(split)
        if not self.classes:
            return whole
        labels = [int(whole[i]["label"]) for i in range(len(whole))]
        if missing := [k for k in self.classes if k not in labels]:
            raise UserError(f"data.classes: {whole!r} has no class {missing[0]}")
        chosen = [i for i, label in enumerate(labels) if label in self.classes]

        def read(i: int) -> Record:
            record: dict[str, Any] = whole[i]
            return {**record, "label": self.classes.index(int(record["label"]))}

        names = [str(k) for k in self.classes]
        if whole.class_names:
            names = [whole.class_names[k] for k in self.classes]
        return Dataset(Lazy(chosen, read), f"{whole.origin}, classes {self.classes}", names)
