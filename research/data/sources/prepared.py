"""Data sets prepared by tensorflow-datasets, read without TensorFlow."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np

from research.core.errors import UserError, first_line, quoted
from research.core.reading import read_json
from research.data.dataset import Dataset, Record
from research.data.sources.readers.opening import decode_image

UNKNOWN = "TFDS has no such builder"
CONNECT_SECONDS = 5
_NEEDS = "needs tensorflow-datasets: pip install 'landmarks[tfds]'"
_AGAIN = "remove the folder and prepare it again"
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of Pillow, by channels


def find(folder: Path, name: str) -> Path | None:
    """Newest prepared version of `name` in `folder`, `<folder>/<name>/<version>`."""
    found = (folder / name).glob("*.*.*/dataset_info.json")
    versions = [info.parent for info in found if _VERSION.fullmatch(info.parent.name)]
    return max(versions, key=lambda v: [int(n) for n in v.name.split(".")], default=None)


def installed() -> bool:
    """Whether tensorflow-datasets is there: it is an extra."""
    return importlib.util.find_spec("tensorflow_datasets") is not None


def read(version: Path, name: str, split: str) -> Dataset:
    """Opens a split of the version folder that `find` returned.

    Raises:
      UserError: no such split, not in array_record format, or a file is damaged.
    """
    _refuse_foreign_modules(version)
    if not installed():
        raise UserError(f"{version} is a set that TFDS has prepared, which {_NEEDS}")
    with _quiet():
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder_from_directory(version)
            splits = builder.info.splits
        except Exception as error:  # TFDS raises many types
            raise UserError(f"{version} is damaged ({first_line(error)}); {_AGAIN}") from error
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
                f"{version} is damaged or truncated ({first_line(error)}); {_AGAIN}"
            ) from error
        records = _Records(version, source, builder.info.features)
        if size:
            records[size - 1]
    origin = f"TFDS {name} {version.name}, split {split}, at {version}"
    class_names = getattr(dict(builder.info.features.items()).get("label"), "names", ())
    return Dataset(records, origin, class_names)


def _refuse_foreign_modules(version: Path) -> None:
    """TFDS imports the modules that a set's description names: only its own may be."""
    waiting: list[Any] = [read_json(path) for path in version.glob("features.json")]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            name = node.get("pythonClassName", "tensorflow_datasets.")
            if not (isinstance(name, str) and name.startswith("tensorflow_datasets.")):
                raise UserError(
                    f"{version / 'features.json'} names {quoted(name)}, which is no feature of "
                    f"TFDS and is not imported; {_AGAIN}"
                )
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _decode_image(channels: int, content: bytes) -> np.ndarray:
    """uint8 `[H, W, channels]`."""
    image = decode_image(content, _MODES[channels])
    return image[..., None] if image.ndim == 2 else image


class _Records(Sequence[Record]):
    """A TFDS data source with its text as `str`, its images as Pillow converts them.

    TFDS would decode images without converting them: palettes give their indices, CMYK four
    channels, whatever the set's description says.
    """

    def __init__(self, version: Path, source: Any, features: Any):
        import tensorflow_datasets as tfds

        self._version = version
        self._source = source
        self._text = {k for k, f in features.items() if isinstance(f, tfds.features.Text)}
        for feature in features.flat_features:  # those within sequences and videos too
            # The pixels of a `LabeledImage` are numbers of classes.
            if type(feature) is tfds.features.Image and feature.np_dtype == np.uint8:
                if (channels := feature.shape[-1]) in _MODES:
                    feature.decode_example_np = functools.partial(_decode_image, channels)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        try:
            record = self._source[index]
            return {k: v.decode() if k in self._text else v for k, v in record.items()}
        except Exception as error:
            raise UserError(
                f"{self._version} is damaged at record {index} ({first_line(error)}); {_AGAIN}"
            ) from error


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
    if not installed():
        return f"TFDS {_NEEDS}"
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
            return f"TFDS failed ({first_line(error)})"
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
