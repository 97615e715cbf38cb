"""Files that are whole or not there, and what a failing disk says."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".partial"  # how the name of a half-written file ends


class DiskError(Exception):
    """A file cannot be read or written, through no fault of what is in it; later it may be."""


# What operating systems, Orbax and TensorStore say of a disk that fails. A file that is not there
# is not among it: that is a fault of the folder, not of the disk.
_FAILING = re.compile(
    "|".join(
        re.escape(os.strerror(getattr(errno, name)))
        for name in (
            *("ENOSPC", "EDQUOT", "EROFS", "EFBIG", "EIO", "ESTALE", "EACCES", "EPERM"),
            *("EMFILE", "ENFILE", "ENODEV", "ENXIO", "ENOTCONN", "EREMOTEIO", "EHOSTDOWN"),
        )
        if hasattr(errno, name)
    )
)


def disk_failure(error: BaseException) -> str:
    """What a failing disk said, "" for an error that has another reason."""
    for link in _chain(error):
        if isinstance(link, DiskError):
            return str(link)
        if found := _FAILING.search(str(link)):
            return found.group()
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all, whatever happens to this process or its machine."""
    # Named after the process: two of them never write the same one.
    partial = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}{PARTIAL}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # else the new name may be on the disk before its content
    partial.replace(path)
    with contextlib.suppress(OSError):  # not every file system opens folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
