"""Archives as their owners publish them, read where they lie: nothing is prepared or unpacked.

mnist, fashion_mnist  the four IDX files, compressed or not
cifar10               cifar-10-python.tar.gz, or its folder cifar-10-batches-py
imdb_reviews          aclImdb_v1.tar.gz
ptb                   simple-examples.tgz

They are looked for in `<folder>/<name>/` and, but for the files of fashion_mnist, which are called
as those of mnist, in the folder itself. Records have the features that TFDS gives them.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from research.core.errors import UserError
from research.data.dataset import Dataset, Lazy, Record, parse_split, slice_records
from research.data.sources.readers.array_files import read_idx, unpickle_arrays
from research.data.sources.readers.opening import naming

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
_FASHION = (
    "T-shirt/top",
    *("Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"),
    "Ankle boot",
)


@dataclasses.dataclass(frozen=True)
class Release:
    """An archive, or several files, of a data set.

    Attributes:
      files: names, of which each may also lie there by one of `forms`.
      forms: other names of a file: unpacked, or compressed.
      source: where it comes from.
      counts: split -> records.
      read: `(paths, split) -> records`.
      class_names: what labels stand for.
      shared_names: whether another set's files are called the same.
    """

    files: tuple[str, ...]
    forms: Callable[[str], tuple[str, ...]]
    source: str
    counts: Mapping[str, int]
    read: Callable[[Sequence[Path], str], Sequence[Record]]
    class_names: Sequence[str] = ()
    shared_names: bool = False


def find(folder: Path, name: str) -> list[Path]:
    """The files of a set in a folder, [] where not all of them are there."""
    if name not in RELEASES:
        return []
    release = RELEASES[name]
    for place in (folder / name, folder):
        if place == folder and release.shared_names:
            continue
        found = [_form(place, release.forms(file)) for file in release.files]
        if all(path is not None for path in found):
            return [path for path in found if path is not None]
    return []


def _form(place: Path, names: Sequence[str]) -> Path | None:
    return next((place / name for name in names if (place / name).exists()), None)


def read(paths: Sequence[Path], name: str, split: str) -> Dataset:
    """Opens a split of what `find` returned.

    Raises:
      UserError: no such split; a file is damaged; records are missing.
    """
    release = RELEASES[name]
    base, start, stop = parse_split(split)
    if base not in release.counts:
        has = ", ".join(release.counts)
        raise UserError(f"data set {name!r} has no split {base!r}; it has {has}")
    records = release.read(paths, base)
    if len(records) != release.counts[base]:
        raise UserError(
            f"{paths[0]} holds {len(records)} records of split {base!r} instead of "
            f"{release.counts[base]}; get it again from {release.source}"
        )
    origin = f"{name}, split {split}, original archive {paths[0]}"
    return Dataset(slice_records(records, start, stop), origin, release.class_names)


def _mnist(paths: Sequence[Path], split: str) -> Sequence[Record]:
    """image uint8 [28, 28, 1], label int64."""
    images, labels = (read_idx(p) for p in (paths[:2] if split == "train" else paths[2:]))
    with naming(paths[0] if split == "train" else paths[2]):
        if images.shape != (len(labels), 28, 28):
            raise ValueError(f"images {images.shape} and labels {labels.shape} do not go together")

    def record(i: int) -> Record:
        return {"image": images[i, ..., None], "label": np.int64(labels[i])}

    return Lazy(range(len(labels)), record)


def _idx_forms(file: str) -> tuple[str, ...]:
    return (file, file.removesuffix(".gz"), file.removesuffix(".gz").replace("-idx", ".idx"))


def _cifar10(paths: Sequence[Path], split: str) -> Sequence[Record]:
    """image uint8 [32, 32, 3], label int64."""
    images, labels = _cifar10_arrays(paths[0], split)

    def record(i: int) -> Record:
        return {"image": images[i], "label": np.int64(labels[i])}

    return Lazy(range(len(labels)), record)


@functools.lru_cache(maxsize=2)
def _cifar10_arrays(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images `[N, 32, 32, 3]` and labels `[N]`. The files are pickles; none of them is executed."""
    names = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    images, labels = [], []
    for name, content in _members(path, [f"cifar-10-batches-py/{name}" for name in names]).items():
        with naming(path, name):
            batch = unpickle_arrays(io.BytesIO(content), "bytes")
            pixels = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32)
            own = np.asarray(batch[b"labels"], np.int64)
            if len(own) != len(pixels) or own.min() < 0 or own.max() > 9:
                raise ValueError("its labels do not go with its images")
            images.append(pixels.transpose(0, 2, 3, 1))
            labels.append(own)
    return np.concatenate(images), np.concatenate(labels)


def _members(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Files of a tar archive, or of the folder that it was unpacked to."""
    found: dict[str, bytes] = {}
    if path.is_dir():
        for name in names:
            with naming(path / Path(name).name):
                found[name] = (path / Path(name).name).read_bytes()
        return found
    with naming(path), tarfile.open(path) as archive:
        for name in names:
            file = archive.extractfile(name)
            if file is None:
                raise ValueError(f"{name} is no file")
            found[name] = file.read()
    return found


def _imdb(paths: Sequence[Path], split: str) -> Sequence[Record]:
    """text, label (0 negative, 1 positive), the two in turns. Reading takes some seconds."""
    return _imdb_records(paths[0], split)


@functools.lru_cache(maxsize=2)
def _imdb_records(path: Path, split: str) -> list[Record]:
    entries = []
    with naming(path), tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.removeprefix("./").split("/")
            if len(parts) != 4 or parts[1] != split or parts[2] not in ("neg", "pos"):
                continue
            file = archive.extractfile(member)
            if file is None or not parts[3].endswith(".txt"):
                continue
            text = file.read().decode("utf-8")
            entries.append((int(parts[3].split("_")[0]), ("neg", "pos").index(parts[2]), text))
    return [{"text": text, "label": label} for _, label, text in sorted(entries)]


def _ptb(paths: Sequence[Path], split: str) -> Sequence[Record]:
    """One sentence a record, text."""
    part = {"train": "train", "validation": "valid", "test": "test"}[split]
    name = f"./simple-examples/data/ptb.{part}.txt"
    content = _members(paths[0], [name])[name]
    with naming(paths[0], name):
        lines = content.decode("utf-8").split("\n")
    return [{"text": line.strip()} for line in lines[:-1]]


_MNIST_FILES = (
    *("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    *("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
)
_MNIST_COUNTS = {"train": 60_000, "test": 10_000}

RELEASES: dict[str, Release] = {
    "mnist": Release(
        files=_MNIST_FILES,
        forms=_idx_forms,
        source="yann.lecun.com/exdb/mnist",
        counts=_MNIST_COUNTS,
        read=_mnist,
        class_names="0123456789",
    ),
    "fashion_mnist": Release(
        files=_MNIST_FILES,
        forms=_idx_forms,
        source="github.com/zalandoresearch/fashion-mnist (data/fashion/)",
        counts=_MNIST_COUNTS,
        read=_mnist,
        class_names=_FASHION,
        shared_names=True,
    ),
    "cifar10": Release(
        files=("cifar-10-python.tar.gz",),
        forms=lambda file: (file, "cifar-10-batches-py"),
        source="www.cs.toronto.edu/~kriz/cifar.html",
        counts={"train": 50_000, "test": 10_000},
        read=_cifar10,
        class_names=_CIFAR10,
    ),
    "imdb_reviews": Release(
        files=("aclImdb_v1.tar.gz",),
        forms=lambda file: (file,),
        source="ai.stanford.edu/~amaas/data/sentiment",
        counts={"train": 25_000, "test": 25_000},
        read=_imdb,
        class_names=("neg", "pos"),
    ),
    "ptb": Release(
        files=("simple-examples.tgz",),
        forms=lambda file: (file,),
        source="www.fit.vut.cz/person/imikolov (simple-examples.tgz)",
        counts={"train": 42_068, "validation": 3_370, "test": 3_761},
        read=_ptb,
    ),
}
