"""Archives as they are published, read where they lie; made here as small ones of their form."""

import dataclasses
import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from research import data
from research.core import UserError
from research.data.sources import archives
from research.data.sources.readers.array_files import read_idx


def message(name, folder, split="train"):
    with pytest.raises(UserError) as caught:
        list(data.load(name, split, str(folder)))
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.fixture
def counts(monkeypatch):
    """Sets the number of records that a release has."""

    def set_counts(name, **found):
        release = dataclasses.replace(archives.RELEASES[name], counts=found)
        monkeypatch.setitem(archives.RELEASES, name, release)

    return set_counts


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder, compressed, train=5, test=3):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        for file, array in (
            (f"{name}-images-idx3-ubyte", images),
            (f"{name}-labels-idx1-ubyte", labels),
        ):
            content = idx(array)
            if compressed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / file).write_bytes(content)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("place", ["", "mnist"])
def test_mnist(tmp_path, counts, compressed, place):
    counts("mnist", train=5, test=3)
    write_mnist(tmp_path / place, compressed)
    train = data.load("mnist", "train", str(tmp_path))
    assert len(train) == 5 and train.class_names == tuple("0123456789")
    assert train[3]["image"].shape == (28, 28, 1) and train[3]["label"] == 3
    assert len(data.load("mnist", "test[:2]", str(tmp_path))) == 2
    assert "original archive" in train.origin
    assert "no split 'validation'" in message("mnist", tmp_path, "validation")


def test_fashion_mnist_is_not_taken_for_mnist(tmp_path, counts):
    counts("fashion_mnist", train=5, test=3)
    write_mnist(tmp_path / "fashion_mnist", True)
    assert data.load("fashion_mnist", "train", str(tmp_path)).class_names[1] == "Trouser"
    assert archives.find(tmp_path, "mnist") == []
    write_mnist(tmp_path / "x", True)
    assert archives.find(tmp_path / "x", "fashion_mnist") == []


@pytest.mark.parametrize("broken", [b"", b"\x1f\x8b123", idx(np.zeros((5, 28, 28), np.uint8))[:99]])
def test_a_damaged_idx_file_is_named(tmp_path, counts, broken):
    counts("mnist", train=5, test=3)
    write_mnist(tmp_path, True)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(broken)
    assert "train-images-idx3-ubyte.gz is damaged or truncated" in message("mnist", tmp_path)


def test_records_are_counted(tmp_path):
    write_mnist(tmp_path, True)
    assert "holds 5 records of split 'train' instead of 60000" in message("mnist", tmp_path)


def test_idx_of_other_numbers(tmp_path):
    (tmp_path / "f").write_bytes(struct.pack(">HBBI", 0, 0x0D, 1, 1) + b"\0" * 4)
    with pytest.raises(UserError, match="does not begin as an IDX file of bytes"):
        read_idx(tmp_path / "f")


def batch(count, offset=0):
    """A batch as it is published: a pickle of protocol 2 with keys of bytes."""
    rng = np.random.default_rng(offset)
    images = rng.integers(0, 256, (count, 3072), np.uint8)
    content = {b"data": images, b"labels": [i % 10 for i in range(count)], b"batch_label": b"x"}
    return images, pickle.dumps(content, protocol=2)


def write_cifar(path, train, test):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in [(f"data_batch_{i + 1}", train) for i in range(5)] + [
            ("test_batch", test)
        ]:
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_cifar10(tmp_path, counts):
    counts("cifar10", train=20, test=4)
    images, content = batch(4)
    write_cifar(tmp_path / "cifar-10-python.tar.gz", content, content)
    dataset = data.load("cifar10", "train", str(tmp_path))
    assert len(dataset) == 20 and dataset[5]["label"] == 1
    expected = images[1].reshape(3, 32, 32).transpose(1, 2, 0)  # planes of red, green, blue
    np.testing.assert_array_equal(dataset[5]["image"], expected)
    assert dataset.class_names[dataset[5]["label"]] == "automobile"
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked" / "cifar10", filter="data")
    np.testing.assert_array_equal(
        data.load("cifar10", "test", str(tmp_path / "unpacked"))[1]["image"], expected
    )


class _Attack:
    def __reduce__(self):
        return exec, ("open('attacked', 'w').close()",)


def test_pickles_execute_nothing(tmp_path, counts, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts("cifar10", train=20, test=4)
    attack = pickle.dumps({b"data": _Attack(), b"labels": [0]}, protocol=2)
    write_cifar(tmp_path / "cifar-10-python.tar.gz", attack, attack)
    said = message("cifar10", tmp_path)
    assert "exec, which is not an array" in said
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", pickle.dumps([1], protocol=2)])
def test_damaged_batches(tmp_path, counts, content):
    counts("cifar10", train=20, test=4)
    write_cifar(tmp_path / "cifar-10-python.tar.gz", content, content)
    assert "data_batch_1) is damaged" in message("cifar10", tmp_path)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8b\x08\x00")
    archives._cifar10_arrays.cache_clear()
    assert "cifar-10-python.tar.gz is damaged" in message("cifar10", tmp_path)


def add(archive, name, text):
    info = tarfile.TarInfo(name)
    info.size = len(text.encode())
    archive.addfile(info, io.BytesIO(text.encode()))


def test_imdb(tmp_path, counts):
    counts("imdb_reviews", train=4, test=2)
    with tarfile.open(tmp_path / "aclImdb_v1.tar.gz", "w:gz") as archive:
        for split, count in (("train", 2), ("test", 1)):
            for i in range(count):
                add(archive, f"aclImdb/{split}/neg/{i}_2.txt", f"bad {split} {i}")
                add(archive, f"aclImdb/{split}/pos/{i}_9.txt", f"göod {split} {i}")
        add(archive, "aclImdb/train/unsup/0_0.txt", "no label")
        add(archive, "aclImdb/README", "read me")
    train = list(data.load("imdb_reviews", "train", str(tmp_path)))
    assert [r["label"] for r in train] == [0, 1, 0, 1]
    assert train[1] == {"text": "göod train 0", "label": 1}


def test_ptb(tmp_path, counts):
    counts("ptb", train=2, validation=1, test=1)
    with tarfile.open(tmp_path / "simple-examples.tgz", "w:gz") as archive:
        for part, text in (("train", " a b \n c \n"), ("valid", " d \n"), ("test", " e \n")):
            add(archive, f"./simple-examples/data/ptb.{part}.txt", text)
    assert [r["text"] for r in data.load("ptb", "train", str(tmp_path))] == ["a b", "c"]
    assert data.load("ptb", "validation", str(tmp_path))[0]["text"] == "d"


def test_what_is_missing_is_said(tmp_path):
    said = message("mnist", tmp_path)
    assert "train-images-idx3-ubyte.gz" in said and "yann.lecun.com" in said
