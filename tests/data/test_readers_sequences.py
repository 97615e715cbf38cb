"""Readers of strokes, sound, music, video and tables, on small files in their formats."""

import json

import numpy as np
import pytest

from research.core import UserError
from research.data.sources.readers import sequence_files, table_files
from tests.data.formats import sound, write_objects, write_zip


def equal(left, right):
    np.testing.assert_array_equal(left, right)
    return True


def test_omniglot_strokes(tmp_path):
    strokes = "START\n1.5,-2,0\n2,-3,10\nBREAK\n4,-5,90\nBREAK\n"
    write_zip(
        tmp_path / "strokes_background_small1.zip",
        {"strokes/Greek/character03/0396_07.txt": strokes, "strokes/.DS_Store": "x"},
    )
    (record,) = sequence_files.omniglot_strokes(tmp_path, "small1")
    assert equal(record["points"], [[1.5, -2, 0], [2, -3, 10], [4, -5, 90]])
    assert record["stroke"].tolist() == [0, 0, 1]
    assert (record["label"], record["drawer"]) == (395, 6)


def test_sketches(tmp_path):
    drawings = [np.array([[1, 2, 0], [3, 4, 1]], np.int16), np.array([[5, 6, 1]], np.int16)]
    write_objects(tmp_path / "x.npz", train=drawings, valid=drawings[:1])
    train = sequence_files.sketches(tmp_path, "train", "x.npz")
    assert [len(r["strokes"]) for r in train] == [2, 1]
    assert equal(train[0]["strokes"], drawings[0])
    assert len(sequence_files.sketches(tmp_path, "validation", "x.npz")) == 1


def test_file_of_arrays_runs_no_code(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    values = np.empty(1, object)
    values[0] = Harm()
    np.savez(tmp_path / "x.npz", train=values)
    with pytest.raises(UserError, match="which is not an array"):
        sequence_files.sketches(tmp_path, "train", "x.npz")
    assert not (tmp_path / "harm").exists()


def test_chorales(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"valid": [[[60, 64], []]]}))
    (record,) = sequence_files.chorales(tmp_path, "validation", "x.json")
    assert record["notes"].tolist() == [[60, 64, -1, -1], [-1, -1, -1, -1]]
    piece = np.array([[74, np.nan, 65, 58], [74, 70, 65, 58]], np.float16)
    write_objects(tmp_path / "Jsb16thSeparated.npz", test=[piece, piece[:1]])
    voices = sequence_files.chorale_voices(tmp_path, "test")
    assert voices[0]["notes"].tolist() == [[74, -1, 65, 58], [74, 70, 65, 58]]


def test_sound(tmp_path):
    write_zip(tmp_path / "recordings.zip", {"recordings/7_jo_0.wav": sound([1, -2, 3])})
    (digit,) = sequence_files.spoken_digits(tmp_path, "train")
    assert digit["audio"].tolist() == [1, -2, 3] and digit["label"] == 7
    write_zip(tmp_path / "notes_8khz.zip", {"cello/cello_Gs3_1_forte.wav": sound([5])})
    (note,) = sequence_files.instrument_notes(tmp_path, "train")
    assert (note["note"], note["label"]) == ("Gs3", sequence_files.INSTRUMENTS.index("cello"))
    write_zip(tmp_path / "recordings.zip", {"recordings/7_jo_0.wav": sound([1], rate=16000)})
    with pytest.raises(UserError, match=r"7_jo_0.wav\) is damaged .* rate are \(1, 2, 16000\)"):
        sequence_files.spoken_digits(tmp_path, "train")[0]


def test_lip_clips(tmp_path):
    np.savez(
        tmp_path / "grid10.npz",
        names=np.array(["ab"]),
        text=np.array(["bin blue"]),
        video_ab=np.zeros((3, 2, 2), np.uint8),
        audio_ab=np.zeros(9, np.int16),
    )
    (clip,) = sequence_files.lip_clips(tmp_path, "train")
    assert (clip["id"], clip["text"], clip["video"].shape) == ("ab", "bin blue", (3, 2, 2))


def test_table(tmp_path):
    (tmp_path / "t.csv").write_text('name,a,b\n"x, y",1,\nz,2,-3.5\n')
    read = {"file": "t.csv", "numbers": {"v": ["b", "a"]}, "texts": {"who": "name"}}
    first, second = table_files.table(tmp_path, "train", **read)
    assert first["who"] == "x, y" and equal(first["v"], [np.nan, 1])
    assert equal(second["v"], np.array([-3.5, 2], np.float32))
    for row in ("w,1", "w,1,2,3", "w,one,2"):
        (tmp_path / "t.csv").write_text(f"name,a,b\nz,2,3\n{row}\n")
        with pytest.raises(UserError, match=r"t.csv \(line 3\) is damaged"):
            table_files.table(tmp_path, "train", **read)
    (tmp_path / "t.csv").write_text("name,b\nz,2\n")
    with pytest.raises(UserError, match="damaged or truncated: 'a'"):
        table_files.table(tmp_path, "train", **read)
