"""Data sets prepared by tensorflow-datasets, read without TensorFlow."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from research.core.errors import UserError
from research.data.dataset import Dataset, Record

UNKNOWN = "TFDS has no such builder"
CONNECT_SECONDS = 5
_AGAIN = "remove the folder and prepare it again"


def find(folder: Path, name: str) -> Path | None:
    """Newest prepared version of `name` in `folder`, `<folder>/<name>/<version>`."""
    found = (folder / name).glob("*.*.*/dataset_info.json")
    versions = [info.parent for info in found if info.parent.name.replace(".", "").isdigit()]
    return max(versions, key=lambda v: [int(n) for n in v.name.split(".")], default=None)


def read(version: Path, name: str, split: str) -> Dataset:
    """Opens a split of the version folder that `find` returned.

    Raises:
      UserError: no such split, not in array_record format, or a file is damaged.
    """
    with _quiet():
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder_from_directory(version)
            splits = builder.info.splits
        except Exception as error:  # TFDS raises many types
            raise UserError(f"{version} is damaged ({_first_line(error)}); {_AGAIN}") from error
        try:
            splits[split]
        except (KeyError, ValueError) as error:
            raise UserError(
                f"data set {name!r} at {version} has no split {split!r}; it has {', '.join(splits)}"
            ) from error
        try:
            source = builder.as_data_source(split)
            size = len(source)
        except NotImplementedError as error:
            raise UserError(f"{version} is not in array_record format; {_AGAIN}") from error
        except Exception as error:  # array_record raises many types, RuntimeError among them
            raise UserError(
                f"{version} is damaged or truncated ({_first_line(error)}); {_AGAIN}"
            ) from error
        records = _Records(version, source, builder.info.features)
        if size:
            records[size - 1]
    origin = f"TFDS {name} {version.name}, split {split}, at {version}"
    class_names = getattr(dict(builder.info.features.items()).get("label"), "names", ())
    return Dataset(records, origin, class_names)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class _Records(Sequence[Record]):
    """A TFDS data source with its text as `str`."""

    def __init__(self, version: Path, source: Any, features: Any):
        import tensorflow_datasets as tfds

        self._version = version
        self._source = source
        self._text = {k for k, f in features.items() if isinstance(f, tfds.features.Text)}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index):
        try:
            record = self._source[index]
        except IndexError:
            raise
        except Exception as error:
            raise UserError(
                f"{self._version} is damaged at record {index} ({_first_line(error)}); {_AGAIN}"
            ) from error
        return {k: v.decode() if k in self._text else v for k, v in record.items()}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides what is said on first access of files that are grouped to save space."""

    def keep(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return "created with group size" not in message and "OpenCV" not in message

    logger = logging.getLogger("absl")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


def command(name: str, folder: Path) -> str:
    """Shell line that prepares `name` in an environment that can be thrown away afterwards."""
    # Not `tfds build`: its command line imports apache_beam whatever it is asked to do.
    return (
        "python -m venv tfds-venv && "
        "tfds-venv/bin/pip install tensorflow tensorflow-datasets importlib_resources && "
        'tfds-venv/bin/python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{name}', data_dir='{folder}', file_format='array_record')"
        '.download_and_prepare()"'
    )


def download(name: str, folder: Path) -> str:
    """Lets TFDS download and prepare `name` into `folder`, where that can work here.

    Returns:
      Why it was not done; "" if it was.
    """
    with _quiet():
        import tensorflow_datasets as tfds

        try:
            tfds.builder_cls(name.split("/")[0])
        except tfds.core.registered.DatasetNotFoundError:
            return UNKNOWN
        # Asked first: without them a builder fails only after it has downloaded everything. All of
        # TFDS's own builders need TensorFlow, if only to list a folder or to encode an image.
        for module in ("tensorflow", "importlib_resources"):
            if importlib.util.find_spec(module) is None:
                return f"preparing it needs {module}"
        builder = tfds.builder(name, data_dir=folder, file_format="array_record")
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            return "its owner wants it downloaded by hand (its page at tensorflow.org/datasets)"
        # TFDS itself would try again for minutes.
        hosts = {urlparse(url).hostname for url in builder.url_infos}
        if unreachable := sorted(host for host in hosts if host and not _answers(host)):
            return f"no connection to {unreachable[0]}"
        try:
            builder.download_and_prepare()
        except Exception as error:  # whatever a builder's own code raises
            return f"TFDS failed ({_first_line(error)})"
    return ""


def _answers(host: str) -> bool:
    """Whether a connection can be made. Looking up a name may hang for long, hence the thread."""
    answered = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError):
            socket.create_connection((host, 443), timeout=CONNECT_SECONDS).close()
            answered.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(2 * CONNECT_SECONDS)
    return answered.is_set()
