"""Released weights are read from the data folder; what is wrong with them is said in one line."""

import hashlib

import numpy as np
import pytest

from research.core.errors import UserError
from research.weights import released, safetensors_file

ARRAYS = {"a.weight": np.arange(6.0).reshape(2, 3)}


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("LANDMARKS_DATA", raising=False)


def read(folders):
    return released.read("net", str(folders), "example.org")


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_both_kinds_of_files(kind, tmp_path, monkeypatch):
    if kind == "npz":
        np.savez(tmp_path / "net.npz", **ARRAYS)
    else:
        safetensors_file.save(tmp_path / "net.safetensors", ARRAYS, {})
    np.testing.assert_array_equal(read(tmp_path)["a.weight"], ARRAYS["a.weight"])
    monkeypatch.setenv("LANDMARKS_DATA", str(tmp_path))
    assert set(read("")) == {"a.weight"}


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="needs its released weights.*example.org.*project_cnn"):
        read(tmp_path)
    with pytest.raises(UserError, match="none is named"):
        read("")


def test_a_damaged_file_and_one_that_would_run(tmp_path):
    (tmp_path / "net.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="no npz file, or a damaged one"):
        read(tmp_path)
    np.savez(tmp_path / "net.npz", a=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="no npz file, or a damaged one"):
        read(tmp_path)


def test_the_hash_beside_it_is_compared(tmp_path):
    np.savez(tmp_path / "net.npz", **ARRAYS)
    right = hashlib.sha256((tmp_path / "net.npz").read_bytes()).hexdigest()
    (tmp_path / "net.sha256").write_text(f"{right}  net.npz\n")
    assert set(read(tmp_path)) == {"a.weight"}
    (tmp_path / "net.sha256").write_text(f"{'0' * 64}  net.npz\n")
    with pytest.raises(UserError, match=f"not the file that net.sha256 names.*{right}"):
        read(tmp_path)
