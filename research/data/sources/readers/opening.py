"""Opens files so that a damaged one is named in one line."""

from __future__ import annotations

import contextlib
import csv
import io
import lzma
import struct
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from research.core.errors import UserError, first_line

# What the standard library and NumPy raise on bytes that are not what they should be, and readers
# on content that is of another form. SyntaxError: ElementTree's for XML. RuntimeError: zipfile's
# for a member that is encrypted; RecursionError is one.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    csv.Error,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    wave.Error,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def naming(path: Path, part: str = "") -> Iterator[None]:
    """Turns what a parser raises on damaged bytes into a `UserError` with the name of the file."""
    try:
        yield
    except DAMAGE as error:
        where = f"{path} ({part})" if part else str(path)
        raise UserError(
            f"{where} is damaged or truncated: {first_line(error)}; get it again"
        ) from error


def decode_image(content: bytes, mode: str) -> np.ndarray:
    """An encoded image as Pillow converts it to a mode.

    Args:
      content: of a file: JPEG, PNG or any other that Pillow knows.
      mode: "RGB", "RGBA" or "L"; or "P", whose palette indices are kept.

    Returns:
      uint8 `[H, W, C]`, or `[H, W]` for "L" and "P".

    Raises:
      ValueError: it is no image, cut off, damaged, or so large that it must be.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(content))
        return np.asarray(image if image.mode == mode else image.convert(mode))
    except Exception as error:  # decoders raise whatever the bytes make them stumble over
        raise ValueError(first_line(error)) from error


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Lines of a text file, split on newlines only; gzip by its suffix."""
    import gzip

    with naming(path):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        lines = content.decode(encoding).split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


class Archive:
    """A zip file, read member by member; its checksums are verified. Safe to share by threads."""

    def __init__(self, path: Path):
        self._path = path
        with naming(path):
            self._zip = zipfile.ZipFile(path)
            # What macOS adds to archives is no data.
            self.names = sorted(
                name
                for name in self._zip.namelist()
                if not name.endswith(("/", ".DS_Store")) and not name.startswith("__MACOSX/")
            )

    def bytes(self, name: str) -> bytes:
        with self.naming(name):
            return self._zip.read(name)

    def text(self, name: str) -> str:
        content = self.bytes(name)
        with self.naming(name):
            return content.decode("utf-8")

    def image(self, name: str, mode: str = "RGB") -> np.ndarray:
        """uint8 `[H, W, 3]`; `[H, W]` for mode "L", or "P" whose palette indices are kept."""
        content = self.bytes(name)
        with self.naming(name):
            return decode_image(content, mode)

    def audio(self, name: str, rate: int) -> np.ndarray:
        """int16 `[T]` of a mono wav with `rate` samples a second."""
        content = self.bytes(name)
        with self.naming(name), wave.open(io.BytesIO(content)) as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if form != (1, 2, rate):
                raise ValueError(f"channels, bytes a sample and rate are {form}")
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")

    def naming(self, name: str) -> contextlib.AbstractContextManager[None]:
        """`naming` for what is parsed out of a member."""
        return naming(self._path, name)


def read_tar_xz(path: Path, prefix: str) -> dict[str, str]:
    """Text of every file of a tar.xz whose name starts with `prefix`, in order of names."""
    texts = {}
    with naming(path):
        # All of it first: tarfile takes a stream that was cut between two files for its end.
        content = lzma.decompress(path.read_bytes())
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                if member.isfile() and member.name.startswith(prefix):
                    file = archive.extractfile(member)
                    assert file is not None
                    texts[member.name] = file.read().decode("utf-8")
    return dict(sorted(texts.items()))
