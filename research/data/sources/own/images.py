"""Images of one's own, in folders that are named after their classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.core.errors import UserError, first_line, quoted
from research.data.dataset import Dataset, Lazy, Record, slice_records
from research.data.sources.own import splits
from research.data.sources.own.splits import Shares


@dataclasses.dataclass(frozen=True)
class _Found:
    """Files of one split: paths with the number of their class, in order of their names."""

    files: list[tuple[Path, int]]
    others: int  # files that are no images


def read(name: str, folder: Path, shares: Shares, split: str, start: str, stop: str) -> Dataset:
    """Images "image" uint8 `[H, W, 3]` and "label"; class k is the k-th folder by name.

    Raises:
      UserError: no such folder, split or class, or no images.
    """
    if not folder.is_dir():
        raise UserError(f"{quoted(name)}: there is no folder {folder}")
    places = splits.split_folders(folder)
    if places:
        splits.check_split(name, split, places)
        classes = _classes(places["train"])
        _check_same_classes(classes, places["train"], places[split])
        found, how = _find(places[split], classes), f"split by folders at {folder}"
    else:
        splits.check_split(name, split, splits.SPLITS)
        classes = _classes(folder)
        every = _find(folder, classes)
        own = [
            (path, label)
            for path, label in every.files
            if shares.split(path.relative_to(folder).as_posix()) == split
        ]
        splits.not_empty(len(own), split, name)
        found, how = _Found(own, every.others), f"{shares} at {folder}"
    left_out = f", {found.others} files that are no images left out" if found.others else ""
    records: Sequence[Record] = Lazy(found.files, _record)
    origin = f"{len(found.files)} images of {len(classes)} classes, {split}, {how}{left_out}"
    return Dataset(slice_records(records, start, stop), origin, classes)


def _classes(folder: Path) -> list[str]:
    """Names of the classes, in order."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        has = f"only {names[0]}/" if names else "none"
        raise UserError(f"{folder} holds a folder for each class of images; it has {has}")
    return names


def _check_same_classes(classes: Sequence[str], train: Path, other: Path) -> None:
    unknown = sorted(set(_classes(other)) - set(classes))
    if unknown:
        raise UserError(f"{other} has a class {quoted(unknown[0])} that {train} has not")


def _find(folder: Path, classes: Sequence[str]) -> _Found:
    from PIL import Image

    suffixes = Image.registered_extensions()
    files: list[tuple[Path, int]] = []
    others = 0
    for label, name in enumerate(classes):
        before = len(files)
        for path in sorted((folder / name).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if hidden or not path.is_file():
                continue
            if path.suffix.lower() in suffixes:
                files.append((path, label))
            else:
                others += 1
        if len(files) == before and (folder / name).is_dir():
            raise UserError(f"{folder / name} holds no image that Pillow reads")
    return _Found(files, others)


def _record(entry: tuple[Path, int]) -> Record:
    path, label = entry
    return {"image": read_image(path), "label": label}


def read_image(path: Path) -> np.ndarray:
    """An image file as people see it: uint8 `[H, W, 3]`, turned as its camera noted, on white.

    Raises:
      UserError: it is no image, cut off or damaged; or of numbers that have no colours.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return rgb(opened)
    except Exception as error:  # decoders raise whatever the bytes make them stumble over
        raise UserError(
            f"{path} is no image that Pillow reads ({first_line(error)}); mend it, or take it out"
        ) from error


def rgb(opened: Any) -> np.ndarray:
    """An image of Pillow's as people see it: uint8 `[H, W, 3]`.

    Raises:
      ValueError: its numbers have no colours.
      Exception: whatever decoders stumble over.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I;16"):  # 16 bits of grey; Pillow would cut them off at 255
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are numbers of mode {image.mode}, not colours")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))
