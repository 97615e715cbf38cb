"""Finds a data set by name: TFDS builders, the original releases' own files, embedded data."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from research.core.errors import UserError, quoted
from research.core.reading import expand_user, is_folder
from research.data.dataset import Dataset
from research.data.sources import archives, catalogue, embedded, files, own, prepared

_NAME = re.compile(r"[A-Za-z0-9_]([\w.+-]*)(/[A-Za-z0-9_][\w.+-]*)*")


def load(name: str, split: str, data_dir: str = "") -> Dataset:
    """Opens one split of a data set.

    Looked for in this order: data that comes with Python and scikit-learn (`embedded.SETS`), the
    folders of `data_dir` and `$LANDMARKS_DATA` (several are separated as in `$PATH`), the TFDS
    folder (`$TFDS_DATA_DIR` or `~/tensorflow_datasets`), a download by TFDS. In each folder a
    prepared TFDS set, `<folder>/<name>/<version>/`, comes before the original release's files.
    `folder:PATH`, `text:PATH`, `pairs:PATH` and `hf:PATH` name data of one's own
    (`data.sources.own`).

    Args:
      name: name of the TFDS builder where one exists, `builder/config` where it has several;
        otherwise the name in `catalogue.SETS` or `embedded.SETS`.
      split: "train", "validation" or "test" as far as the set has them; "train[:90%]" takes a part.
      data_dir: `config.data.dir`.

    Returns:
      Records by index; `.origin` says which data they are.

    Raises:
      UserError: nothing of this name, no such split, or the files are damaged. Nothing else is ever
        taken in place of what was asked for.
    """
    if own.is_own(name):
        return own.read(name, split)
    if not _NAME.fullmatch(name):  # before it becomes a part of a path
        raise UserError(
            f"no data set is called {quoted(name)}; names are like 'mnist', 'glue/sst2', "
            "or 'folder:PATH', 'text:PATH', 'pairs:PATH', 'hf:PATH' for your own"
        )
    if name in embedded.SETS:
        return embedded.read(name, split)
    folders = list(_folders(data_dir))
    for folder in folders:
        if version := prepared.find(folder, name):
            return prepared.read(version, name, split)
        if release := archives.find(folder, name):
            return archives.read(release, name, split)
        if name in catalogue.SETS and (folder / catalogue.SETS[name].folder).is_dir():
            return files.read(catalogue.SETS[name], folder, name, split)
    cache = expand_user(
        os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets", "$TFDS_DATA_DIR"
    )
    if version := prepared.find(cache, name):
        return prepared.read(version, name, split)
    reason = prepared.download(name, cache)
    if version := prepared.find(cache, name):
        return prepared.read(version, name, split)
    raise UserError(_not_found(name, [*folders, cache], reason))


def _folders(data_dir: str) -> Iterator[Path]:
    for setting, value in (
        ("config.data.dir", data_dir),
        ("$LANDMARKS_DATA", os.environ.get("LANDMARKS_DATA", "")),
    ):
        for entry in filter(None, value.split(os.pathsep)):
            folder = expand_user(entry, setting)
            if not is_folder(folder, setting):
                raise UserError(f"{setting} names {folder}, which is not a folder; correct it")
            yield folder


def _not_found(name: str, folders: list[Path], reason: str) -> str:
    places = ", ".join(str(folder) for folder in folders)
    default = "the script's default variant needs no download"
    if name in archives.RELEASES:
        release = archives.RELEASES[name]
        return (
            f"data set {name!r} not found: neither {release.files[0]} nor a prepared "
            f"{name}/<version>/ in {places}; get {' and '.join(release.files)} from "
            f"{release.source} into DIR/{name}/ and pass --config.data.dir=DIR; {default}"
        )
    if name in catalogue.SETS:
        raw = catalogue.SETS[name]
        return (
            f"data set {name!r} not found: no {raw.folder}/ ({', '.join(raw.sizes)}), nor a "
            f"prepared {name}/<version>/, in {places}; get the files from {raw.source} into "
            f"DIR/{raw.folder}/ and pass --config.data.dir=DIR; {default}"
        )
    known = {raw.folder: name for name, raw in catalogue.SETS.items()}
    known |= {name: name for name in (*catalogue.SETS, *archives.RELEASES, *embedded.SETS)}
    close = difflib.get_close_matches(name, known, n=3)
    meant = f"did you mean {' or '.join(sorted({known[k] for k in close}))}?" if close else ""
    if reason != prepared.UNKNOWN:
        asked = f"{meant} " if meant and not prepared.installed() else ""  # TFDS cannot be asked
        return (
            f"data set {name!r} not found: {asked}no prepared {name}/<version>/ in {places}, and "
            f"not downloaded: {reason}; prepare it once with "
            f"`{prepared.command(name, folders[0])}`; {default}"
        )
    return f"no data set is called {name!r}, in TFDS or in {places}; {meant or default}"
