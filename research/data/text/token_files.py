"""Tokenised text kept on the disk and mapped into memory: `$LANDMARKS_TOKENS`.

A text is tokenised once, in two bytes a token where the vocabulary allows, four elsewhere; every
later start, and every process on the same machine, maps the file, of which only what is read takes
memory. An entry is a folder named after all that decides on the tokens:

    <digest>/about.json, vocabulary files, 0/tokens.npy, 0/ends.npy, 1/tokens.npy, ...
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.core.errors import UserError, first_line
from research.core.reading import expand_user
from research.data.text.packing import Documents

log = logging.getLogger("landmarks")

VARIABLE = "LANDMARKS_TOKENS"
_ABOUT = "about.json"
_VOCABULARY = "vocabulary"


class Entry:
    """The tokens of some texts in some vocabulary.

    Args:
      folder: of all entries.
      about: what decides on the tokens, as plain values.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]):
        self.about = json.loads(json.dumps(about))
        digest = hashlib.sha256(json.dumps(self.about, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:24]

    @property
    def is_there(self) -> bool:
        return (self.folder / _ABOUT).is_file()

    def documents(self) -> list[Documents]:
        """The documents of every set, their tokens mapped into memory.

        Raises:
          UserError: a file is damaged or gone.
        """
        try:
            about = json.loads((self.folder / _ABOUT).read_text("utf-8"))
            found = []
            for i, kept in enumerate(about["sets"]):
                place = self.folder / str(i)
                tokens = np.load(place / "tokens.npy", mmap_mode="r", allow_pickle=False)
                ends = np.load(place / "ends.npy", allow_pickle=False)
                if (len(tokens), len(ends)) != (kept["tokens"], kept["documents"]):
                    raise ValueError("another number of tokens than was written")
                found.append(Documents(tokens, ends, kept["origin"]))
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise UserError(
                f"{self.folder} of ${VARIABLE} is damaged ({first_line(error)}); remove it, and "
                "the text is tokenised again"
            ) from error
        return found

    def vocabulary_files(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in sorted((self.folder / _VOCABULARY).iterdir())}

    def write(
        self,
        sets: Sequence[tuple[Iterable[np.ndarray], str]],
        end_of_text: int,
        vocab_size: int,
        vocabulary: Mapping[str, bytes],
    ) -> None:
        """Writes an entry, whole or not at all; several processes may do so at once.

        Args:
          sets: encoded documents, and the origin, of each.
          end_of_text: the token that ends each document.
          vocab_size: no token is larger.
          vocabulary: its files.

        Raises:
          UserError: the disk does not take it.
        """
        dtype = np.uint16 if vocab_size <= 2**16 else np.uint32
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder.parent))
            try:
                kept = [
                    _write_set(partial / str(i), documents, origin, end_of_text, dtype)
                    for i, (documents, origin) in enumerate(sets)
                ]
                (partial / _VOCABULARY).mkdir()
                for name, content in vocabulary.items():
                    (partial / _VOCABULARY / name).write_bytes(content)
                about = json.dumps({**self.about, "sets": kept}, indent=1)
                (partial / _ABOUT).write_text(about, "utf-8")
                if not self.is_there:
                    partial.rename(self.folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            if self.is_there:  # another process was faster
                return
            raise UserError(
                f"${VARIABLE}: cannot write {self.folder} ({error.strerror or error})"
            ) from error
        log.info("tokens are kept in %s", self.folder)


def entries_folder() -> Path | None:
    """The folder of `$LANDMARKS_TOKENS`; None where the variable is not set."""
    value = os.environ.get(VARIABLE, "")
    return expand_user(value, f"${VARIABLE}") if value else None


def fingerprint(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Name, size and time of every file of these paths: another one where a file was changed."""
    found = []
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                stat = file.stat()
                found.append((str(file), stat.st_size, stat.st_mtime_ns))
    return found


def _write_set(
    folder: Path, documents: Iterable[np.ndarray], origin: str, end_of_text: int, dtype: Any
) -> dict[str, Any]:
    """Writes one set document by document: the tokens of all of them are never in memory."""
    folder.mkdir()
    sizes = []
    with (folder / "raw").open("wb") as raw:
        for ids in documents:
            np.append(ids, end_of_text).astype(dtype).tofile(raw)
            sizes.append(len(ids) + 1)
    count = sum(sizes)
    # An array's file is a header and then the numbers.
    mapped = np.lib.format.open_memmap(folder / "tokens.npy", "w+", dtype, (count,))
    offset = mapped.offset
    del mapped
    with (folder / "tokens.npy").open("r+b") as file, (folder / "raw").open("rb") as raw:
        file.seek(offset)
        shutil.copyfileobj(raw, file)
    (folder / "raw").unlink()
    np.save(folder / "ends.npy", np.cumsum(sizes))
    return {"tokens": count, "documents": len(sizes), "origin": origin}
