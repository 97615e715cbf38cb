"""Tables: csv files by the names of their columns."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from research.data.dataset import Record
from research.data.sources.readers.opening import naming

TOX21 = (
    "NR-AR NR-AR-LBD NR-AhR NR-Aromatase NR-ER NR-ER-LBD NR-PPAR-gamma "
    "SR-ARE SR-ATAD5 SR-HSE SR-MMP SR-p53"
).split()
SENSORS = "HUFL HULL MUFL MULL LUFL LULL OT".split()
WEATHER = "AT V AP RH".split()
BUILDING = "X1 X2 X3 X4 X5 X6 X7 X8".split()
LOADS = "Y1 Y2".split()

# Columns of numbers by the name of a set and of its feature.
COLUMNS: dict[str, dict[str, list[str]]] = {
    "ett/h1": {"values": SENSORS},
    "ccpp": {"inputs": WEATHER, "targets": ["EP"]},
    "energy_efficiency": {"inputs": BUILDING, "targets": LOADS},
}


def table(
    folder: Path,
    split: str,
    file: str,
    numbers: Mapping[str, Sequence[str]],
    texts: Mapping[str, str],
) -> Sequence[Record]:
    """One row a record.

    Args:
      numbers: feature -> columns: float32 [columns], NaN where a cell is empty.
      texts: feature -> column: str.
    """
    path = folder / file
    with naming(path), path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, strict=True))
    records = []
    for number, row in enumerate(rows, 2):
        with naming(path, f"line {number}"):
            if None in row or None in row.values():
                raise ValueError("another number of cells than the first line")
            record: Record = {name: row[column] for name, column in texts.items()}
            for name, columns in numbers.items():
                cells = [row[column] or "nan" for column in columns]
                record[name] = np.array(cells, np.float32)
            records.append(record)
    return records
