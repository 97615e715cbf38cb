"""How data of one's own is split: by folders, or by a seeded share."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

from research.core.errors import UserError, quoted

SPLITS = ("train", "validation", "test")
_OPTIONS = re.compile(r"(.*)\?((?:\w+=[^&?/]*)(?:&\w+=[^&?/]*)*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Shares:
    """Shares of the data that are not trained on, and what they are drawn by.

    Attributes:
      test: from 0 to 1.
      validation: from 0 to 1.
      seed: another number draws others.
    """

    test: float = 0.1
    validation: float = 0.1
    seed: int = 0

    def split(self, name: str) -> str:
        """The split of what has this name: a function of the name and the seed alone."""
        digest = hashlib.sha256(f"{self.seed}\0{name}".encode("utf-8", "surrogateescape")).digest()
        drawn = int.from_bytes(digest[:8], "big") / 2**64
        if drawn < self.test:
            return "test"
        return "validation" if drawn < self.test + self.validation else "train"

    def __str__(self) -> str:
        shares = f"{self.test:g} test, {self.validation:g} validation"
        return f"split by shares ({shares}, seed {self.seed})"


def parse(name: str) -> tuple[str, Shares]:
    """Parts of PATH?test=0.2&seed=1.

    Raises:
      UserError: an option that there is not, or a value that it does not take.
    """
    match = _OPTIONS.fullmatch(name)
    if not match:
        return name, Shares()
    values: dict[str, float | int] = {}
    for option in match[2].split("&"):
        key, _, text = option.partition("=")
        values[key] = _value(key, text)
    shares = Shares(**values)  # type: ignore[arg-type]
    if shares.test + shares.validation >= 1:
        raise UserError(f"{quoted(name)}: test and validation leave nothing to train on")
    return match[1], shares


def _value(key: str, text: str) -> float | int:
    if key not in ("test", "validation", "seed"):
        raise UserError(f"?{quoted(key)[1:-1]}= is no option; there are test, validation, seed")
    try:
        value = int(text) if key == "seed" else float(text)
    except ValueError:
        value = -1
    if key == "seed" and not 0 <= value < 2**32 or key != "seed" and not 0 <= value < 1:
        takes = "a whole number, 0 or more" if key == "seed" else "a share from 0 to below 1"
        raise UserError(f"?{key}={quoted(text)[1:-1]}: takes {takes}")
    return value


def split_folders(folder: Path) -> dict[str, Path]:
    """Folders of the splits in a folder, {} where it has no `train`; `val` is `validation`.

    Raises:
      UserError: there is a `train` but neither `test` nor `validation`, or both `val` and
        `validation`.
    """
    found = {name: folder / name for name in SPLITS if (folder / name).is_dir()}
    if (folder / "val").is_dir():
        if "validation" in found:
            raise UserError(f"{folder} has both val/ and validation/; one of them is to go")
        found["validation"] = folder / "val"
    if "train" not in found:
        return {}
    if len(found) == 1:
        raise UserError(
            f"{folder} has a train/ but no test/; add it, or name the folder train/ itself, of "
            "which a share is then the test"
        )
    return found


def check_split(name: str, split: str, known: object) -> None:
    """Raises UserError where there is no such split."""
    names = list(known) if isinstance(known, dict | tuple) else []
    if split not in names:
        raise UserError(
            f"data set {quoted(name)} has no split {split!r}; it has {', '.join(names)}"
        )


def not_empty(records: int, split: str, name: str) -> None:
    """Raises UserError where a split by shares has come out empty."""
    if not records:
        raise UserError(
            f"the share of split {split!r} of {quoted(name)} is empty: there is too little for it; "
            f"make folders train/ and test/, or set a share such as ?{split}=0.3"
        )
