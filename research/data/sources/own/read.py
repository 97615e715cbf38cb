"""Names of one's own data, such as `folder:photos`, and what reads them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from research.core.errors import UserError, quoted
from research.core.reading import expand_user
from research.data.dataset import Dataset, parse_split
from research.data.sources.own import hugging_face, images, splits, tables, text

KINDS = ("folder", "text", "pairs", "table", "hf")


def is_own(name: str) -> bool:
    """Whether a name is of one's own data."""
    return name.partition(":")[0] in KINDS and ":" in name


def read(name: str, split: str) -> Dataset:
    """Opens a split of one's own data.

    Raises:
      UserError: no such file, folder or split; or whatever is wrong with it.
    """
    kind, _, rest = name.partition(":")
    base, start, stop = parse_split(split)
    place, shares = splits.parse(rest)
    if kind == "pairs":
        paths = _pair_paths(place, name)
        return text.read_pairs(name, paths, shares, base, start, stop)
    if kind == "table":  # a script splits it by its rows or by time; "?" is no option here
        [path] = _paths([rest], name)
        return tables.read(name, path, base, start, stop)
    [path] = _paths([place], name)
    if kind == "hf":
        return hugging_face.read(name, path, shares, base, start, stop)
    if kind == "folder":
        return images.read(name, path, shares, base, start, stop)
    return text.read_texts(name, path, shares, base, start, stop)


def path(name: str) -> Path:
    """The file or folder that a name of one's own data is of."""
    return expand_user(splits.parse(name.partition(":")[2])[0], "data.name")


def _pair_paths(place: str, name: str) -> list[Path]:
    """One path, or two with a comma between them; there may be commas in a path."""
    with contextlib.suppress(OSError, ValueError):  # a name that no file has
        if place and Path(place).exists():
            return [Path(place)]
    parts = place.split(",")
    if len(parts) > 2:
        raise UserError(f"{quoted(name)}: one file, or two with a comma between them")
    return _paths(parts, name)


def _paths(places: list[str], name: str) -> list[Path]:
    paths = [expand_user(place, "data.name") for place in places]
    for place, path in zip(places, paths, strict=True):
        try:
            there = bool(place) and path.exists()
        except (OSError, ValueError):  # a name that no file has
            there = False
        if not there:
            raise UserError(f"{quoted(name)}: there is no {quoted(str(path))}")
    return paths
