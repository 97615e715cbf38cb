"""Arrays as old releases keep them: IDX files, and pickles of which nothing is executed."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from research.data.sources.readers.opening import naming


class ArraysOnly(pickle.Unpickler):
    """Loads arrays and nothing else: an ordinary unpickler would run code that a file names."""

    ALLOWED = {
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        if (module, name) not in self.ALLOWED:
            raise ValueError(f"it holds {module}.{name}, which is not an array")
        return super().find_class(module, name)


def unpickle_arrays(file: IO[bytes], encoding: str) -> Any:
    """What a pickle of arrays, numbers, texts and their containers holds.

    Raises:
      ValueError: it is damaged, or names anything else.
    """
    try:
        return ArraysOnly(file, encoding=encoding).load()
    except (pickle.UnpicklingError, AttributeError) as error:
        raise ValueError(str(error)) from error


def read_idx(path: Path) -> np.ndarray:
    """A uint8 array of an IDX file, compressed or not (yann.lecun.com/exdb/mnist).

    Raises:
      UserError: it is damaged, cut off, or of other numbers.
    """
    with naming(path):
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        zero, kind, dimensions = struct.unpack(">HBB", content[:4])
        if zero != 0 or kind != 8:
            raise ValueError(f"it does not begin as an IDX file of bytes does ({content[:4]!r})")
        start = 4 + 4 * dimensions
        shape = struct.unpack(f">{dimensions}I", content[4:start])
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
