"""Which package of Python's standard library is a piece of code from? Sparse, not downloaded."""

from __future__ import annotations

import numpy as np

from research import data
from research.data.dataset import Dataset, Record, parse_split, slice_records

# Those with the most text that every installation has, with no tables of data.
PACKAGES = (
    *("asyncio", "email", "http", "importlib", "logging"),
    *("multiprocessing", "unittest", "urllib", "xml"),
)
CHARACTERS = 500  # of a piece: some sixty words, a few of them rare


def load(split: str) -> Dataset:
    """Pieces of source in random order: "text", and "label", a place in `PACKAGES`.

    Args:
      split: "train" or "test", which have no file in common, or a part such as "train[:80%]".
    """
    base, start, stop = parse_split(split)
    files = data.load("python_source", base)
    records: list[Record] = []
    for file in files:
        package, _, rest = file["path"].partition("/")
        if package in PACKAGES and rest:
            label, text = np.int32(PACKAGES.index(package)), file["text"]
            records += [
                {"text": text[i : i + CHARACTERS], "label": label}
                for i in range(0, len(text) - CHARACTERS + 1, CHARACTERS)
            ]
    order = np.random.default_rng(0).permutation(len(records))
    chosen = slice_records([records[i] for i in order], start, stop)
    return Dataset(chosen, f"{files.origin}: packages, part {split}", PACKAGES)
