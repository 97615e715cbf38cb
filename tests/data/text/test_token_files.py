"""Kept tokens: the same rows as without, made once, whole or not at all."""

import json

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.text import corpus as corpus_module
from research.data.text import token_files
from research.data.text.corpus import Corpus

TEXTS = ["one fish two fish\n", "red fish blue fish\n", "this one has a little star\n"]


@pytest.fixture
def text(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(30):
        (folder / f"{i}.txt").write_text(TEXTS[i % 3] * (1 + i % 4))
    return f"text:{folder}"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv(token_files.VARIABLE, str(tmp_path / "tokens"))
    return tmp_path / "tokens"


def corpus(name, kind="bpe", size=300, overlap=0):
    return Corpus((name,), (1.0,), "", kind, size, overlap, "test")


def reads_nothing(monkeypatch):
    def read(name, split, data_dir):
        assert split != "train", "the training text is read again"
        return load(name, split, data_dir)

    load = corpus_module.load
    monkeypatch.setattr(corpus_module, "load", read)


@pytest.mark.parametrize("kind", ["bytes", "characters", "bpe"])
def test_rows_are_the_same_and_the_text_is_read_once(kind, text, tmp_path, monkeypatch):
    plain = corpus(text, kind)
    expected = [plain.rows(12, seed=3)[i] for i in range(20)]
    monkeypatch.setenv(token_files.VARIABLE, str(tmp_path / "tokens"))
    first = corpus(text, kind)
    first.rows(12, seed=3)
    reads_nothing(monkeypatch)
    again = corpus(text, kind)
    rows = again.rows(12, seed=3)
    for i, row in enumerate(expected):
        np.testing.assert_array_equal(rows[i], row)
    assert again.origin == rows.origin == plain.origin
    assert isinstance(again.train[0].tokens, np.memmap) and again.train[0].tokens.dtype == np.uint16
    sentence = "two red fish\n"
    assert again.vocabulary.decode(again.vocabulary.encode(sentence)) == sentence
    np.testing.assert_array_equal(again.test, plain.test)


def test_what_decides_on_the_tokens_has_an_entry_of_its_own(text, kept, tmp_path):
    for changed in (
        corpus(text),
        corpus(text, size=310),
        corpus(text, kind="bytes"),
        corpus(text, overlap=40),
    ):
        changed.rows(12, 0)
    assert len(list(kept.iterdir())) == 4
    (tmp_path / "texts" / "3.txt").write_text("another text altogether\n" * 9)
    corpus(text).rows(12, 0)
    assert len(list(kept.iterdir())) == 5
    corpus(text).rows(12, 1)  # the seed of the rows decides on no token
    assert len(list(kept.iterdir())) == 5


def test_large_vocabularies_take_four_bytes(kept):
    entry = token_files.Entry(kept, {"a": 1})
    entry.write([([np.array([70_000, 3])], "toy")], 1, 100_000, {})
    (documents,) = entry.documents()
    assert documents.tokens.dtype == np.uint32 and documents.tokens.tolist() == [70_000, 3, 1]
    assert documents.ends.tolist() == [3] and documents.origin == "toy"


def test_what_fails_half_way_leaves_nothing(kept):
    def documents():
        yield np.array([1, 2])
        raise KeyboardInterrupt

    entry = token_files.Entry(kept, {})
    with pytest.raises(KeyboardInterrupt):
        entry.write([(documents(), "toy")], 0, 10, {})
    assert not entry.is_there and not list(kept.iterdir())


def test_another_process_may_be_faster(kept):
    entry, sets = token_files.Entry(kept, {}), [([np.array([1, 2])], "toy")]
    entry.write(sets, 0, 10, {})
    entry.write(sets, 0, 10, {})  # comes second
    assert [path.name for path in kept.iterdir()] == [entry.folder.name]


@pytest.mark.parametrize("file", ["0/tokens.npy", "0/ends.npy"])
def test_damage_is_one_line(file, kept):
    entry = token_files.Entry(kept, {})
    entry.write([([np.arange(9)], "toy")], 0, 10, {})
    path = entry.folder / file
    for content in (path.read_bytes()[:-3], b"", b"nonsense"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is damaged .*remove it") as error:
            entry.documents()
        assert "\n" not in str(error.value)
    about = entry.folder / "about.json"
    about.write_text(json.dumps({"sets": [{"tokens": 1, "documents": 1, "origin": ""}]}))
    with pytest.raises(UserError, match="damaged"):
        entry.documents()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    entry = token_files.Entry(tmp_path / "file", {})
    with pytest.raises(UserError, match="cannot write"):
        entry.write([([np.arange(3)], "toy")], 0, 10, {})
