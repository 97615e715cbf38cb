"""What an experiment asks of its questions, whatever they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from research.core import Source
from research.core.experiment import Asset

Row = Mapping[str, Any]


class Task(Protocol):
    """Questions with answers about something: Q of them in a row."""

    @property
    def row(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """What one row holds: what `Reasoner` takes, and "answer" `[Q]`."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """Names of the kinds of questions, by which answers are counted."""
        ...

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """Name -> kinds that are counted together as well."""
        ...

    @property
    def assets(self) -> Sequence[Asset]:
        """What a run keeps."""
        ...

    def source(self, batch_size: int, seed: int) -> Source:
        """Batches of training rows."""
        ...

    def rows(self, split: str) -> Sequence[Row]:
        """Rows of "train", "validation" or "test"."""
        ...

    def labels(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Answers and kinds, both int `[N, Q]`, of the rows of a split."""
        ...


def accuracies(task: Task, right: np.ndarray, kind: np.ndarray) -> dict[str, float]:
    """Per cent of the questions that were answered right: of each kind, each group and of all.

    Args:
      right: bool `[N, Q]`.
      kind: int `[N, Q]`, index in `task.kinds`.

    Returns:
      A number for each kind and group of which there are questions, and "all".
    """
    numbers = {"all": 100.0 * float(right.mean())}
    members = {name: (name,) for name in task.kinds} | dict(task.groups)
    for name, own in members.items():
        chosen = np.isin(kind, [list(task.kinds).index(member) for member in own])
        if chosen.any():
            numbers[name] = 100.0 * float(right[chosen].mean())
    return numbers


def majority(task: Task, split: str) -> dict[str, float]:
    """`accuracies` of always giving the answer that its kind mostly has in training."""
    answer, kind = task.labels("train")
    commonest = [
        np.bincount(answer[kind == k]).argmax() if (kind == k).any() else -1
        for k in range(len(task.kinds))
    ]
    test_answer, test_kind = task.labels(split)
    return accuracies(task, np.array(commonest)[test_kind] == test_answer, test_kind)
