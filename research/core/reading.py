"""Files that others may have touched, read so that whatever is wrong with one is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from research.core.errors import UserError, first_line, quoted


def is_file(path: Path) -> bool:
    """Whether there is such a file.

    Raises:
      UserError: it cannot be told: the name is too long, or a folder may not be entered.
    """
    try:
        return path.is_file()
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise UserError(f"cannot look at {quoted(str(path))}: {_reason(error)}") from error


def is_folder(path: Path, what: str) -> bool:
    """Whether there is such a folder, the value of the flag or key `what`; raises as `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        raise UserError(f"{what}: cannot look at {quoted(str(path))}: {_reason(error)}") from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises:
      UserError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {_reason(error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: it is no text ({first_line(error)})") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
      UserError: it cannot be read, or holds anything but one JSON object.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "it is empty" if not text.strip() else f"it is no JSON ({first_line(error)})"
        raise UserError(f"{path} is damaged: {what}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it holds {_kind(content)}, not an object")
    return content


def expand_user(path: str, what: str) -> Path:
    """A path whose first part may be "~" or "~name".

    Args:
      path: as it was given.
      what: the flag or key that it is the value of.

    Raises:
      UserError: there is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{what}={quoted(path)}: {first_line(error)}; write the path out"
        ) from error


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or first_line(error)


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, list):
        return "a list"
    return "a text" if isinstance(value, str) else "a number"
