"""Data that comes with Python and scikit-learn: nothing to download.

digits             1797 handwritten digits: image float32 [8, 8] in 0..16, label. "train" is the
                   first 1437, "test" the last 360, in the order of the release
python_reference   the language reference: one text a topic, in alphabetical order
python_source      the standard library's own modules (tests left out), in order of their paths

The two texts change with the version of Python, which their origin names. "test" is every tenth
record.
"""

from __future__ import annotations

import platform
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from research.core.errors import UserError
from research.data.dataset import Dataset, Lazy, Record, parse_split, slice_records

Splits = Mapping[str, Sequence[Record]]

DIGITS_TRAIN = 1437
# Folders that not every installation of one Python version has, or that are no library.
NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "idlelib"}


def read(name: str, split: str) -> Dataset:
    """Opens one split of an embedded set.

    Raises:
      UserError: no such split.
    """
    base, start, stop = parse_split(split)
    make, version = SETS[name]
    splits = make()
    if base not in splits:
        raise UserError(f"data set {name!r} has no split {base!r}; it has {', '.join(splits)}")
    records = slice_records(splits[base], start, stop)
    class_names = "0123456789" if name == "digits" else ()
    return Dataset(records, f"embedded {name}, split {split}, {version()}", class_names)


def _digits() -> Splits:
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images.astype(np.float32)
    labels = data.target.astype(np.int32)

    def record(i: int) -> Record:
        return {"image": images[i], "label": labels[i]}

    return {
        "train": Lazy(range(DIGITS_TRAIN), record),
        "test": Lazy(range(DIGITS_TRAIN, len(images)), record),
    }


def _python_reference() -> Splits:
    from pydoc_data.topics import topics

    return _every_tenth([{"topic": name, "text": topics[name]} for name in sorted(topics)])


def _python_source() -> Splits:
    root = Path(sysconfig.get_path("stdlib"))
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    names = [n for n in names if not NOT_LIBRARY.intersection(n.split("/")) and "config-" not in n]

    def record(name: str) -> Record:
        return {"path": name, "text": (root / name).read_text(encoding="utf-8", errors="replace")}

    entries = _every_tenth(names)
    return {split: Lazy(chosen, record) for split, chosen in entries.items()}


def _every_tenth(entries: list) -> dict[str, list]:
    return {
        "train": [e for i, e in enumerate(entries) if i % 10 != 9],
        "test": entries[9::10],
    }


def _sklearn_version() -> str:
    import sklearn

    return f"scikit-learn {sklearn.__version__}"


def _python_version() -> str:
    return f"Python {platform.python_version()}"


SETS: dict[str, tuple[Callable[[], Splits], Callable[[], str]]] = {
    "digits": (_digits, _sklearn_version),
    "python_reference": (_python_reference, _python_version),
    "python_source": (_python_source, _python_version),
}
