"""Readers of text, on small files in their formats."""

import gzip
import json

import pytest

from research.core import UserError
from research.data.sources.readers import text_files
from tests.data.formats import write_tar


def test_lines_keep_what_looks_like_a_line_end(tmp_path):
    (tmp_path / "a.txt").write_bytes("one \n tw\x85o\u2028\r\n".encode())
    records = text_files.lines(tmp_path, "train", {"train": "a.txt"}, "text")
    assert [r["text"] for r in records] == ["one", "tw\x85o"]


def test_parallel(tmp_path):
    (tmp_path / "a.en.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    (tmp_path / "a.de.gz").write_bytes(gzip.compress("eins\nzwölf".encode()))
    names = {"train": {"en": "a.en.gz", "de": "a.de.gz"}}
    assert text_files.parallel(tmp_path, "train", names) == [
        {"en": "one", "de": "eins"},
        {"en": "two", "de": "zwölf"},
    ]
    (tmp_path / "a.de.gz").write_bytes(gzip.compress(b"eins\n"))
    with pytest.raises(UserError, match=r"a.en.gz, a.de.gz\) is damaged"):
        text_files.parallel(tmp_path, "train", names)


def test_atis(tmp_path):
    place = tmp_path / "valid"
    place.mkdir()
    for name, content in (
        ("seq.in", "to rome \n"),
        ("seq.out", "O B-city\n"),
        ("label", "flight\n"),
    ):
        (place / name).write_text(content)
    (record,) = text_files.atis(tmp_path, "validation")
    assert record == {"text": "to rome", "slots": "O B-city", "intent": "flight"}
    (place / "seq.out").write_text("O\n")
    with pytest.raises(UserError, match="seq.out .line 1. is damaged or truncated: not one slot"):
        text_files.atis(tmp_path, "validation")


def test_labelled_lines(tmp_path):
    (tmp_path / "x").write_bytes("4 tr\xe8s bon\n0 bad\n".encode("latin-1"))
    records = text_files.labelled(tmp_path, "train", {"train": "x"})
    assert records == [{"text": "très bon", "label": 4}, {"text": "bad", "label": 0}]
    (tmp_path / "x").write_text("4 good\n0")
    with pytest.raises(UserError, match=r"x \(line 2\) is damaged"):
        text_files.labelled(tmp_path, "train", {"train": "x"})


def test_trec(tmp_path):
    (tmp_path / "TREC.test").write_text("NUM:dist How far ?\n")
    (record,) = text_files.trec(tmp_path, "test")
    assert text_files.QUESTION_TYPES[record["label-coarse"]] == "NUM"
    assert text_files.QUESTION_SUBTYPES[record["label-fine"]] == "dist"


def test_movie_reviews(tmp_path):
    (tmp_path / "rt-polarity.neg").write_bytes(b"bad \nworse\n")
    (tmp_path / "rt-polarity.pos").write_bytes(b"good\nbest\n")
    records = text_files.movie_reviews(tmp_path, "train")
    assert [(r["text"], r["label"]) for r in records] == [
        ("bad", 0),
        ("good", 1),
        ("worse", 0),
        ("best", 1),
    ]


def test_imdb(tmp_path):
    write_tar(
        tmp_path / "any.tar.xz",
        {
            "aclImdb/train/pos/10_9.txt": "fine",
            "aclImdb/train/pos/2_9.txt": "good",
            "aclImdb/train/neg/2_1.txt": "bad",
            "aclImdb/test/neg/0_1.txt": "other",
        },
    )
    records = text_files.imdb(tmp_path, "train")
    assert [(r["text"], r["label"]) for r in records] == [("bad", 0), ("good", 1), ("fine", 1)]


def test_babi(tmp_path):
    story = (
        "1 Mary is here.\n2 Who?\tMary\t1\n3 Jo left.\n4 Where?\tout,off\t3 1\n"
        "1 New.\n2 What?\tNew\t1\n"
    )
    root = "tasks_1-20_v1-2/en"
    write_tar(
        tmp_path / "tasks_1-20_v1-2.tar.xz",
        {
            f"{root}/qa10_x_train.txt": "1 A.\n2 B?\tA\t1\n",
            f"{root}/qa2_y_train.txt": story,
            f"{root}/qa2_y_test.txt": story,
            f"{root}-10k/qa2_y_train.txt": story,
        },
    )
    records = text_files.babi(tmp_path, "train", "en")
    assert [r["task"] for r in records] == [2, 2, 2, 10]
    assert records[1]["story"] == ("Mary is here.", "Jo left.")
    assert records[1]["support"].tolist() == [1, 0] and records[1]["answer"] == "out,off"
    assert records[2]["story"] == ("New.",)


def test_squad(tmp_path):
    question = {"id": "q", "question": "Who?", "answers": [{"text": "Jo", "answer_start": 3}]}
    paragraph = {"context": "So Jo did.", "qas": [question]}
    content = {"data": [{"title": "T", "paragraphs": [paragraph]}]}
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    (record,) = text_files.squad(tmp_path, "validation")
    assert record["title"] == "T" and record["answers"]["text"] == ("Jo",)
    assert record["answers"]["answer_start"].tolist() == [3]


def test_negotiations(tmp_path):
    line = (
        "<input> 1 6 3 0 2 2 </input> <dialogue> YOU: hi <eos> THEM: <selection> </dialogue> "
        "<output> item0=1 item1=0 item2=2 item0=0 item1=3 item2=0 </output> "
        "<partner_input> 1 2 3 2 2 1 </partner_input>\n"
    )
    (tmp_path / "val.txt").write_text(line)
    (record,) = text_files.negotiations(tmp_path, "validation")
    assert record["input"].tolist() == [1, 6, 3, 0, 2, 2]
    assert record["partner_input"].tolist() == [1, 2, 3, 2, 2, 1]
    assert record["dialogue"] == "YOU: hi <eos> THEM: <selection>"
    (tmp_path / "val.txt").write_text(line + line[:40])
    with pytest.raises(UserError, match=r"val.txt \(line 2\)"):
        text_files.negotiations(tmp_path, "validation")
    (tmp_path / "selfplay.txt").write_text("1 0 1 1 3 3\n1 1 1 0 3 3\n")
    (context,) = text_files.negotiation_contexts(tmp_path, "train")
    assert context["you"].tolist() == [1, 0, 1, 1, 3, 3]


def test_pronunciations(tmp_path):
    (tmp_path / "cmudict.dict").write_text("a AH0\na(2) EY1\naalst AA1 L # place, dutch\n")
    records = text_files.pronunciations(tmp_path, "train")
    assert [tuple(r.values()) for r in records] == [("a", "AH0"), ("a", "EY1"), ("aalst", "AA1 L")]


def test_character_text(tmp_path):
    (tmp_path / "input.txt").write_text("0123456789" * 2)
    parts = [
        text_files.character_text(tmp_path, s)[0]["text"] for s in ("train", "validation", "test")
    ]
    assert parts == ["012345678901234567", "8", "9"]
