"""Whatever bytes the files of an original release hold: records, or a line that names the file."""

import gzip
import json
import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.core import UserError
from research.data.sources import files
from research.data.sources.readers import (
    image_files,
    opening,
    scene_files,
    sequence_files,
    table_files,
    text_files,
)
from tests.data.formats import encode, picture, sound, write_objects, write_tar, write_zip

# Splits do not matter here: all readers are asked for "train".
TEXT = {
    "lines": (lambda f, s: text_files.lines(f, s, {"train": "x"}, "text"), b"one\ntwo\n"),
    "labelled": (lambda f, s: text_files.labelled(f, s, {"train": "x"}), b"1 good\n0 bad\n"),
    "trec": (text_files.trec, b"DESC:manner How did it ?\nNUM:dist How far ?\n"),
    "characters": (text_files.character_text, "To be, or not to be é".encode()),
    "negotiations": (
        text_files.negotiations,
        b"<input> 1 2 3 4 5 6 </input> <dialogue> YOU: hi <eos> </dialogue> "
        b"<output> a b c d e f </output> <partner_input> 1 2 3 4 5 6 </partner_input>\n",
    ),
    "contexts": (text_files.negotiation_contexts, b"1 2 3 4 5 6\n1 2 3 4 5 6\n"),
    "pronunciations": (text_files.pronunciations, b"a AH0\nabout(2) AH0 B AW1 T # n\n"),
    "squad": (
        text_files.squad,
        json.dumps(
            {
                "data": [
                    {
                        "title": "t",
                        "paragraphs": [
                            {
                                "context": "c",
                                "qas": [
                                    {
                                        "id": "1",
                                        "question": "q",
                                        "answers": [{"text": "c", "answer_start": 0}],
                                    }
                                ],
                            }
                        ],
                    }
                ]
            }
        ).encode(),
    ),
    "chorales": (
        lambda f, s: sequence_files.chorales(f, s, "x"),
        json.dumps({"train": [[[60, 64], []], [[1, 2, 3, 4]]]}).encode(),
    ),
    "table": (
        lambda f, s: table_files.table(f, s, "x", {"n": ["a", "b"]}, {"t": "c"}),
        b'a,b,c\n1,2,x\n3,,"y\nz"\n',
    ),
    "imdb": (text_files.imdb, b"aclImdb"),
}
NAMES = {
    "trec": "TREC.train",
    "characters": "input.txt",
    "negotiations": "train.txt",
    "contexts": "selfplay.txt",
    "pronunciations": "cmudict.dict",
    "squad": "x.json.gz",
    "imdb": "x.tar.xz",
}


def read_all(folder, name, read):
    """Every record of the file; or the line in which it is refused."""
    path = folder / name
    raw = files.RawSet(".", "example.org", {name: path.stat().st_size}, {"train": 2}, read)
    try:
        return list(files.read(raw, folder, "toy", "train"))
    except UserError as error:
        line = str(error)
        assert line.isprintable() and str(folder) in line
        return line


def packed(kind, content):
    if kind == "squad":
        return gzip.compress(content)
    return lzma.compress(content) if kind == "imdb" else content


def damaged(draw, content):
    """A file with some bytes replaced, cut out, repeated or put in."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        stop = draw(st.integers(start, min(len(content), start + 8)))
        content[start:stop] = draw(st.binary(max_size=6) | st.sampled_from([b"\n", b'"', b"\x00"]))
    return bytes(content)


@pytest.mark.parametrize("kind", [k for k in TEXT if k != "imdb"])
def test_the_whole_files_are_read(kind, tmp_path):
    read, content = TEXT[kind]
    name = NAMES.get(kind, "x")
    (tmp_path / name).write_bytes(packed(kind, content))
    found = read_all(tmp_path, name, read)
    assert isinstance(found, list) or "instead of 2" in found, found


@pytest.mark.parametrize("kind", TEXT)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_text(kind, tmp_path_factory, data):
    read, content = TEXT[kind]
    folder, name = tmp_path_factory.mktemp(kind), NAMES.get(kind, "x")
    if data.draw(st.booleans()):
        content = damaged(data.draw, content)
    else:
        content = data.draw(st.binary(max_size=60))
    content = packed(kind, content) if data.draw(st.booleans()) else content
    (folder / name).write_bytes(content)
    read_all(folder, name, read)


def archives(folder):
    """Small archives and arrays of every kind of reader: name -> (reader, what is in the file)."""
    made = {}

    def zipped(name, read, members):
        write_zip(folder / name, members)
        made[name] = read, (folder / name).read_bytes()

    zipped(
        "utkface64.zip",
        image_files.utkface,
        {f"{i}_0_0_0.jpg": encode(picture(i)) for i in range(2)},
    )
    zipped(
        "images_background_train.zip",
        image_files.omniglot,
        {f"x/Tifinagh/character0{i}/0{i}_01.png": encode(picture(i)) for i in (1, 2)},
    )
    zipped(
        "recordings.zip",
        sequence_files.spoken_digits,
        {f"{i}_jackson_0.wav": sound([1, -2, 3]) for i in range(2)},
    )
    zipped(
        "BCCD.zip",
        scene_files.bccd,
        {
            "BCCD/ImageSets/Main/train.txt": "a\n",
            "BCCD/JPEGImages/a.jpg": encode(picture(0)),
            "BCCD/Annotations/a.xml": "<a><object><name>RBC</name><bndbox><ymin>0</ymin>"
            "<xmin>0</xmin><ymax>1</ymax><xmax>1</xmax></bndbox></object></a>",
        },
    )
    write_objects(folder / "x.npz", train=[np.arange(6, dtype=np.int16).reshape(-1, 3)] * 2)
    made["x.npz"] = (
        lambda f, s: sequence_files.sketches(f, s, "x.npz"),
        (folder / "x.npz").read_bytes(),
    )
    write_tar(folder / "x.tar.xz", {"aclImdb/train/pos/0_9.txt": "good"})
    made["x.tar.xz"] = text_files.imdb, (folder / "x.tar.xz").read_bytes()
    return made


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_archive(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("archives")
    made = archives(folder)
    name = data.draw(st.sampled_from(sorted(made)))
    read, content = made[name]
    (folder / name).write_bytes(damaged(data.draw, content))
    read_all(folder, name, read)


@given(st.binary(max_size=200), st.sampled_from(["RGB", "L", "RGBA"]))
@settings(max_examples=100, deadline=None)
def test_any_image(content, mode):
    for start in (
        b"",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"GIF89a",
        b"BM",
    ):
        try:
            image = opening.decode_image(start + content, mode)
            assert image.dtype == np.uint8
        except ValueError as error:
            assert str(error).isprintable()
