"""Tables of one's own: csv files in UTF-8 whose first line names the columns."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from research.core.errors import UserError, quoted
from research.data.dataset import Dataset, Record, slice_records
from research.data.sources.own import splits
from research.data.sources.own.text import read_utf8


def read(name: str, path: Path, split: str, start: str, stop: str) -> Dataset:
    """One row a record, by the names of the columns, in the file's order.

    A column whose first cell is a number holds numbers, float32; the others are text.

    Raises:
      UserError: no such split (there is "train" alone); the file is no table; a cell is empty or
        is no number in a column of numbers, with its line and column.
    """
    splits.check_split(name, split, ("train",))
    lines = csv.reader(read_utf8(path).splitlines(), strict=True)
    rows = []
    try:
        for row in lines:
            if row:  # an empty line at the end is none
                rows.append((lines.line_num, row))
    except csv.Error as error:
        raise UserError(f"{path}, line {lines.line_num}: {error}") from error
    if len(rows) < 2:
        raise UserError(f"{path} has no rows; its first line names the columns")
    (_, columns), *rows = rows
    for column in columns:
        if not column.strip() or columns.count(column) > 1:
            raise UserError(
                f"{path}, line 1: {quoted(column)} is no name of a column, or of two; name each"
            )
    numbers = {c for c, cell in zip(columns, rows[0][1], strict=False) if _is_number(cell)}
    records = [_record(path, line, columns, numbers, row) for line, row in rows]
    chosen = slice_records(records, start, stop)
    return Dataset(chosen, f"{len(chosen)} rows of {len(columns)} columns at {path}")


def _record(path: Path, line: int, columns: list[str], numbers: set[str], row: list[str]) -> Record:
    if len(row) != len(columns):
        raise UserError(
            f"{path}, line {line}: {len(row)} cells, but the first line names {len(columns)} "
            "columns"
        )
    record: Record = {}
    for column, cell in zip(columns, row, strict=True):
        if column in numbers and not _is_number(cell):
            found = f"{quoted(cell)} is no number" if cell.strip() else "the cell is empty"
            raise UserError(
                f"{path}, line {line}, column {quoted(column)}: {found}; fill it in, or take the "
                "row out"
            )
        record[column] = np.float32(cell) if column in numbers else cell
    return record


def _is_number(cell: str) -> bool:
    """Whether a cell is a finite number."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
