"""Whatever happened to a file, one line names it."""

import gzip
import json

import numpy as np
import pytest

from research.core import UserError
from research.data.sources import catalogue, files
from research.data.sources.readers import image_files, opening, sequence_files, text_files
from tests.data.formats import encode, picture, write_objects, write_tar, write_zip

# Formats whose bytes are cut: (file, content, reader of the file's folder).
ARCHIVE = {"aclImdb/train/pos/0_9.txt": "good film " * 500}


def cut_zip(path):
    write_zip(path, {f"{i}_0_0_0.jpg": encode(picture(i, 32, 32)) for i in range(4)})


def cut_objects(path):
    write_objects(path, train=[np.arange(300, dtype=np.int16).reshape(-1, 3)] * 9)


CUT = {
    "utkface64.zip": (cut_zip, lambda f: image_files.utkface(f, "train")),
    "x.tar.xz": (lambda p: write_tar(p, ARCHIVE), lambda f: text_files.imdb(f, "train")),
    "x.json.gz": (
        lambda p: p.write_bytes(gzip.compress(json.dumps({"data": []}).encode())),
        lambda f: text_files.squad(f, "validation"),
    ),
    "x.json": (
        lambda p: p.write_text(json.dumps({"train": [[[60]]]})),
        lambda f: sequence_files.chorales(f, "train", "x.json"),
    ),
    "x.npz": (cut_objects, lambda f: sequence_files.sketches(f, "train", "x.npz")),
}


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", CUT)
def test_cut_file_is_named(tmp_path, name, keep):
    write, read = CUT[name]
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError) as caught:
        list(read(tmp_path))
    assert str(path) in str(caught.value) and "get it again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["not an image", "cut image", "flipped bits"])
def test_damaged_member_of_an_archive_is_named(tmp_path, damage):
    path = tmp_path / "utkface64.zip"
    image = encode(picture(0, 32, 32))
    write_zip(
        path,
        {
            "1_0_0_0.jpg": image,
            "2_0_0_0.jpg": {"not an image": b"text", "cut image": image[:-500]}.get(damage, image),
        },
    )
    if damage == "flipped bits":
        content = bytearray(path.read_bytes())
        content[content.rindex(b"IDAT") + 200] ^= 255
        path.write_bytes(content)
    records = image_files.utkface(tmp_path, "train")
    assert records[0]["image"].shape == (32, 32, 3)  # the others can still be read
    with pytest.raises(UserError, match=r"utkface64.zip \(2_0_0_0.jpg\) is damaged or truncated"):
        records[1]


def test_missing_records_are_noticed(tmp_path):
    place = tmp_path / "toy"
    place.mkdir()
    (place / "a.txt").write_text("one\ntwo\n")
    raw = files.RawSet(
        folder="toy",
        source="example.org",
        sizes={"a.txt": 8},
        counts={"train": 3},
        read=lambda folder, split: text_files.lines(folder, split, {"train": "a.txt"}, "text"),
    )
    with pytest.raises(UserError, match="2 records of split 'train' instead of 3.*example.org"):
        files.read(raw, tmp_path, "toy", "train")


def test_text_that_is_no_text(tmp_path):
    (tmp_path / "input.txt").write_bytes(b"cut in the middle of \xc2")
    with pytest.raises(UserError, match="input.txt is damaged or truncated: 'utf-8' codec"):
        text_files.character_text(tmp_path, "train")


def test_read_lines_of_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="nothing.txt is damaged or truncated: .*No such file"):
        opening.read_lines(tmp_path / "nothing.txt")


def test_catalogue_is_complete():
    for name, raw in catalogue.SETS.items():
        assert raw.sizes and raw.counts, name
        assert "github.com" in raw.source or name == "frey_face"  # on its author's page
        assert set(raw.counts) <= {"train", "validation", "test", "test_2017", "small1"}
