"""Released weights of networks by others, which lie in the data folder; nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from research.core.errors import UserError, first_line
from research.weights import safetensors_file

_SUFFIXES = (safetensors_file.SUFFIX, ".npz")


def read(name: str, folders: str, source: str) -> dict[str, np.ndarray]:
    """The arrays of `name`.safetensors or `name`.npz.

    Where `name`.sha256 lies beside it, as `sha256sum` writes it, the file is compared with it.

    Args:
      name: of the network.
      folders: where files are looked for, separated as in $PATH; $LANDMARKS_DATA after them.
      source: says where the weights come from, for the message.

    Raises:
      UserError: there is no such file, it is damaged, or it is not the one of its hash.
    """
    places = [Path(f).expanduser() for f in _folders(folders)]
    for path in (place / f"{name}{suffix}" for place in places for suffix in _SUFFIXES):
        if path.is_file():
            _check_hash(path)
            return _arrays(path)
    where = ", ".join(map(str, places)) or "a data folder: none is named"
    raise UserError(
        f"the network {name!r} needs its released weights: no {name}.safetensors or {name}.npz in "
        f"{where}; make it of {source} as docs/papers/gan_metrics.md says and pass "
        "--config.data.dir=DIR, or see through the project's own network, project_cnn"
    )


def _folders(folders: str) -> Iterator[str]:
    for value in (folders, os.environ.get("LANDMARKS_DATA", "")):
        yield from filter(None, value.split(os.pathsep))


def _check_hash(path: Path) -> None:
    beside = path.with_suffix(".sha256")
    if not beside.is_file():
        return
    words = beside.read_text(encoding="utf-8").split()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not words or found != words[0]:
        raise UserError(f"{path} is not the file that {beside.name} names: its hash is {found}")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == safetensors_file.SUFFIX:
        return safetensors_file.load(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zip files, NumPy and the file system have types of their own
        raise UserError(f"{path} is no npz file, or a damaged one ({first_line(error)})") from error
