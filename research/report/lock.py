"""Locks on the folder of a run: one process at a time trains an arm, and one at a time writes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import secrets
import socket
import time
from pathlib import Path

from research.core import UserError

log = logging.getLogger("landmarks")

_GLANCES = 0.5  # seconds in which another that only looks at a lock has looked
_NOT_THERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class FileLock:
    """A file that names who holds it, under a lock of the operating system's.

    That one ends with the process that took it, however that ends: no lock is ever stale.

    Args:
      path: of the file.
      what: what is in use while it is held, in words.

    Attributes:
      token: a word that this holder alone knows, until it writes it into the file.
    """

    def __init__(self, path: Path, what: str):
        self.path, self.what = path, what
        self.token = secrets.token_hex(8)
        self._file: int | None = None

    def refuse_if_held(self) -> None:
        """Looks, and writes nothing.

        Raises:
          UserError: another process holds it.
        """
        if self._file is not None or not self.path.is_file():
            return
        file = os.open(self.path, os.O_RDONLY)
        try:
            self._lock(file, fcntl.LOCK_SH, _GLANCES)
        finally:
            os.close(file)

    def take(self, seconds: float = _GLANCES) -> None:
        """Takes the lock, and waits for one that is held for moments only.

        Args:
          seconds: how long it waits.

        Raises:
          UserError: another process holds it all that time.
        """
        while self._file is None:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._lock(file, fcntl.LOCK_EX, seconds)
                if self._is_there(file):  # else its last holder has just removed it
                    self._file, file = file, -1
            finally:
                if file != -1:
                    os.close(file)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "token": self.token}
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(holder).encode(), 0)
        os.fsync(self._file)

    def release(self) -> None:
        """Gives it back, if it was taken."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            if self._is_there(self._file):
                self.path.unlink()
        os.close(self._file)
        self._file = None

    def sees(self, token: str, seconds: float) -> bool:
        """Whether the file with a token is there; other machines' files may take their time."""
        end = time.monotonic() + seconds
        while _read(self.path).get("token") != token:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def _lock(self, file: int, kind: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not _locked(file, kind):
            if time.monotonic() > end:
                holder = _read(self.path)
                raise UserError(
                    f"{self.what} is in use by process {holder.get('pid', '?')} on "
                    f"{holder.get('host', '?')}; wait until it has ended, or choose another "
                    "--workdir"
                )
            time.sleep(0.05)

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.stat(self.path))
        except FileNotFoundError:
            return False


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        log.warning("this file system has no locks: see that one run at a time is in a folder")
    return True


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
