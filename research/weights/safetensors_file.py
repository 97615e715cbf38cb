"""Weights as safetensors files: arrays by name, nothing that runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from research.core.errors import UserError

SUFFIX = ".safetensors"


def save(path: Path, arrays: Mapping[str, Any], about: Mapping[str, str]) -> None:
    """Writes arrays by name, and words about them as the file's metadata.

    Raises:
      UserError: the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        host = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        safetensors.numpy.save_file(host, partial, dict(about))
        partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error})") from error


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name.

    Raises:
      UserError: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise UserError(f"no file {path}")
    try:
        return safetensors.numpy.load_file(path)
    except Exception as error:  # safetensors and the file system have types of their own
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is no safetensors file, or a damaged one ({line})") from error


def about(path: Path) -> dict[str, str]:
    """The words about a file's arrays."""
    with path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    return json.loads(header).get("__metadata__", {})
