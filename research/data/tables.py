"""Tables of numbers: named columns, one of which is to be predicted from the others."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from research.core.errors import UserError, check_choice, quoted
from research.data.load import load
from research.data.sources import own
from research.data.sources.readers import table_files

SPLITS = ("shuffled", "chronological")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows in the order in which they were recorded.

    Attributes:
      names: of the D inputs.
      inputs: `[N, D]` float32.
      target: name of what is to be predicted.
      targets: `[N]` float32.
      origin: which data this is.
    """

    names: tuple[str, ...]
    inputs: np.ndarray
    target: str
    targets: np.ndarray
    origin: str


def read_table(name: str, target: str, folder: str = "") -> Table:
    """A table by its name, all columns of numbers but the target being inputs.

    Args:
      name: "ccpp", "ett/h1", "energy_efficiency", or "table:PATH" for one's own.
      target: name of a column.
      folder: of `data.load`.

    Raises:
      UserError: there is no such table or column; a cell is empty, with its row and column.
    """
    if not own.is_own(name) and name not in table_files.COLUMNS:
        known = ", ".join(table_files.COLUMNS)
        raise UserError(f"{quoted(name)} is no table; there are {known}, and table:PATH")
    dataset = load(name, "train", folder)
    arrays = dataset.arrays()
    columns: dict[str, np.ndarray] = {}
    if own.is_own(name):
        columns = arrays
    else:
        for feature, of_feature in table_files.COLUMNS[name].items():
            columns |= dict(zip(of_feature, arrays[feature].T, strict=True))
    if target not in columns:
        raise UserError(
            f"{name} has no column of numbers {quoted(target)}; it has {', '.join(columns)}"
        )
    for column, values in columns.items():
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise UserError(f"{name}, row {row + 1}, column {quoted(column)}: the cell is empty")
    names = tuple(column for column in columns if column != target)
    if not names:
        raise UserError(f"{name} has no column of numbers beside {quoted(target)}")
    inputs = np.stack([columns[column] for column in names], axis=1).astype(np.float32)
    return Table(names, inputs, target, columns[target].astype(np.float32), dataset.origin)


def split_rows(num: int, train_share: float, how: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and test rows, which are all rows.

    Args:
      num: N.
      train_share: of the rows.
      how: "shuffled": at random; neighbours in time then stand on both sides. "chronological": the
        first rows are trained on.
      seed: of the order.
    """
    check_choice("split", how, SPLITS)
    order = np.arange(num)
    if how == "shuffled":
        order = np.random.default_rng(seed).permutation(num)
    train = round(train_share * num)
    if not 0 < train < num:
        raise UserError(f"a share of {train_share:g} of {num} rows leaves nothing on one side")
    return order[:train], order[train:]


class Scaling(NamedTuple):
    """How columns are scaled: (x - mean) / (max - min), each `[D]`, of the training rows."""

    mean: np.ndarray
    span: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Scaling:
        """The scaling of rows `[N, D]` or `[N]`; a column that does not vary is left in size."""
        span = np.ptp(rows, axis=0)
        return cls(rows.mean(0, dtype=np.float64), np.where(span > 0, span, 1.0))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Scaled rows, float32."""
        return ((rows - self.mean) / self.span).astype(np.float32)

    def undo(self, rows: np.ndarray) -> np.ndarray:
        """Rows in their own units, float64."""
        return np.asarray(rows, np.float64) * self.span + self.mean


class SplitTable:
    """A table, its training and test rows, and their scaling, opened on first use.

    An entry of `Experiment.assets`: a run keeps the names, the scaling and two rows, so that
    its model can be asked without the data.

    Args:
      open_table: gives the table.
      num_inputs: D, which the network is built for.
      train_share, how, seed: of `split_rows`.
    """

    def __init__(
        self,
        open_table: Callable[[], Table],
        num_inputs: int,
        train_share: float,
        how: str,
        seed: int,
    ):
        check_choice("split", how, SPLITS)
        self.open_table, self.num_inputs = open_table, num_inputs
        self.train_share, self.how, self.seed = train_share, how, seed
        self._kept: Kept | None = None

    @functools.cached_property
    def table(self) -> Table:
        """All rows.

        Raises:
          UserError: the table is missing or damaged, or has another number of inputs.
        """
        table = self.open_table()
        if len(table.names) != self.num_inputs:
            raise UserError(
                f"data.num_inputs is {self.num_inputs}, but {table.origin} has {len(table.names)}: "
                f"{', '.join(table.names)}; set --config.data.num_inputs={len(table.names)}"
            )
        return table

    @functools.cached_property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of training and test rows."""
        return split_rows(len(self.table.targets), self.train_share, self.how, self.seed)

    @property
    def kept(self) -> Kept:
        """What a finished model needs."""
        if self._kept is None:
            train, test = self.split
            rows = self.table.inputs[train]
            scaling = Scaling.of(rows)
            targets = self.table.targets[test]
            high = np.abs(targets - np.percentile(targets, 90)) <= 0.05 * np.std(targets)
            moments = {"a typical moment": test, "a moment of high values": test[high]}
            self._kept = Kept(
                self.table.names,
                self.table.target,
                scaling,
                Scaling.of(self.table.targets[train]),
                np.percentile(rows, (1, 99), axis=0),
                {
                    name: _nearest_to_median(self.table.inputs[index], scaling)
                    for name, index in moments.items()
                },
            )
        return self._kept

    def arrays(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Scaled "inputs" `[M, D]` and "target" `[M]` of some rows."""
        return {
            "inputs": self.kept.inputs(self.table.inputs[index]),
            "target": self.kept.target_scaling(self.table.targets[index]),
        }

    def open_train(self) -> tuple[dict[str, np.ndarray], str]:
        """For `in_memory.ArrayBatches`: the scaled training rows, and where they come from."""
        return self.arrays(self.split[0]), self.table.origin

    def to_files(self) -> dict[str, bytes]:
        return {"table.json": self.kept.to_json()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        self._kept = Kept.from_json(files["table.json"])


class Kept(NamedTuple):
    """What a run keeps of its table.

    Attributes:
      names: of the D inputs.
      target: name of what is predicted.
      inputs: scaling of the inputs.
      target_scaling: scaling of the target.
      ends: `[2, D]`, the inputs' 1st and 99th percentiles.
      moments: name -> `[D]`: the test row nearest to the medians, and of the rows whose target is
        near its 90th percentile the one nearest to theirs.
    """

    names: tuple[str, ...]
    target: str
    inputs: Scaling
    target_scaling: Scaling
    ends: np.ndarray
    moments: dict[str, np.ndarray]

    def to_json(self) -> bytes:
        values = {
            "names": list(self.names),
            "target": self.target,
            "inputs": [part.tolist() for part in self.inputs],
            "target_scaling": [float(part) for part in self.target_scaling],
            "ends": self.ends.tolist(),
            "moments": {name: row.tolist() for name, row in self.moments.items()},
        }
        return json.dumps(values, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Kept:
        values = json.loads(content)
        return cls(
            tuple(values["names"]),
            values["target"],
            Scaling(*map(np.array, values["inputs"])),
            Scaling(*map(np.array, values["target_scaling"])),
            np.array(values["ends"]),
            {name: np.array(row, np.float32) for name, row in values["moments"].items()},
        )


def _nearest_to_median(rows: np.ndarray, scaling: Scaling) -> np.ndarray:
    """The row `[D]` that is nearest to the medians of rows `[N, D]`, in scaled units."""
    scaled = scaling(rows)
    return rows[np.abs(scaled - np.median(scaled, axis=0)).sum(1).argmin()]
