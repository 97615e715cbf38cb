"""Lines of handwriting, and what is measured on them without a network."""

import functools
import json

import numpy as np
import pytest

from research.core import UserError
from research.data.procedural import pen_strokes
from research.papers.handwriting import measures
from research.papers.handwriting.lines import Line, Lines, strokes_of


@functools.cache
def procedural():
    counts = {"train": 60, "validation": 10, "test": 10}
    return Lines("procedural", "", "aehnot ", 4, counts, 6, 2, 64, 6)


def own(folder, rows, **changed):
    for split in ("train", "validation", "test"):
        (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n")
    counts = {"train": 5, "validation": 5, "test": 5}
    options = {"letters": "", "letters_per_line": 1, "max_points": 20, "max_symbols": 5, **changed}
    return Lines("own", str(folder), counts=counts, writers=1, new_writers=1, **options)


ROW = {"text": "ab", "writer": 1, "strokes": [[[0, 0], [1, 2]], [[3, 3]], [[4, 0], [4, 1], [5, 1]]]}


def test_offsets_are_steps_of_the_pen_with_the_ends_of_strokes():
    line = Line("x", 0, [np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 3.0], [3.0, 4.0]])])
    np.testing.assert_array_equal(line.offsets, [[1, 2, 1], [2, 1, 0], [0, 1, 1]])
    for ours, true in zip(strokes_of(line.offsets), line.strokes, strict=True):
        np.testing.assert_array_equal(ours, true)


def test_offsets_of_the_training_lines_have_mean_0_and_deviation_1():
    lines = procedural()
    arrays = lines.arrays("train")
    there = np.arange(lines.max_points) < arrays["length"][:, None]
    offsets = arrays["points"][there][:, :2]
    np.testing.assert_allclose(offsets.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(offsets.std(0), 1, rtol=1e-4)
    line = lines.splits["test"][0]
    back = lines.strokes(lines.normal(line.offsets))
    for ours, true in zip(back, line.strokes, strict=True):
        np.testing.assert_allclose(ours + line.strokes[0][0], true, atol=1e-9)


def test_no_text_and_no_writer_of_another_split_is_one_of_training():
    splits = procedural().splits
    texts = {line.text for line in splits["train"]}
    assert not texts & {line.text for name in ("test", "validation") for line in splits[name]}
    assert {line.writer for line in splits["train"]} == set(range(6))
    assert {line.writer for line in splits["new_writers"]} == {6, 7}


def test_what_a_run_keeps_is_enough_without_the_data():
    lines = procedural()
    kept = Lines("procedural", "", "", 4, {}, 0, 0, 64, 6)
    kept.from_files(lines.to_files())
    assert kept.symbols == lines.symbols and len(kept.primes) == 6
    np.testing.assert_allclose(kept.scale, lines.scale)
    np.testing.assert_allclose(kept.primes[2].offsets, lines.primes[2].offsets)


def test_files_of_ones_own(tmp_path):
    lines = own(tmp_path, [json.dumps(ROW)])
    assert lines.symbols == "ab" and len(lines.splits["train"][0].strokes[1]) == 2  # a dot
    assert lines.splits["new_writers"] == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("not json", "row 2: not"),
        ('{"text": "a", "writer": 1}', "row 2: not"),
        ('{"text": "", "writer": 1, "strokes": [[[0, 0], [1, 1]]]}', "row 2: not"),
        ('{"text": "a", "writer": 1, "strokes": [[[0, NaN], [1, 1]]]}', "row 2: not"),
        ('{"text": "abcdef", "writer": 1, "strokes": [[[0, 0], [1, 1]]]}', "raise data.max_symb"),
    ],
)
def test_bad_files_are_one_line(row, words, tmp_path):
    lines = own(tmp_path, [json.dumps(ROW), row])
    with pytest.raises(UserError, match=words):
        _ = lines.splits


def test_missing_files_and_lines_that_are_too_long(tmp_path):
    with pytest.raises(UserError, match="no lines of handwriting there"):
        _ = Lines("own", str(tmp_path), "", 1, {}, 1, 1, 9, 9).splits
    with pytest.raises(UserError, match="needs --config.data.dir"):
        _ = Lines("own", "", "", 1, {}, 1, 1, 9, 9).splits
    with pytest.raises(UserError, match="raise data.max_points"):
        _ = own(tmp_path, [json.dumps(ROW)], max_points=2).splits
    with pytest.raises(UserError, match="data.letters"):
        _ = Lines("procedural", "", "aß", 4, {}, 6, 2, 64, 6).splits


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), (" ", "empty"), ("haß", "has 'ß'"), ("a" * 7, "6 symbols")]
)
def test_texts_that_cannot_be_written(text, words):
    with pytest.raises(UserError, match=words):
        procedural().encode(text)


def test_slant_is_the_hands():
    upright = pen_strokes.write("hello", pen_strokes.NEUTRAL, np.random.default_rng(0))
    sheared = [stroke @ [[1.0, 0.0], [0.4, 1.0]] for stroke in upright]
    assert measures.slant(sheared) - measures.slant(upright) == pytest.approx(0.4, abs=1e-6)


def test_a_reader_finds_the_text_whatever_the_hand():
    texts = ["hello", "world", "tiles", "ocean", "stone"]
    neutral = [
        pen_strokes.write(text, pen_strokes.NEUTRAL, np.random.default_rng(0)) for text in texts
    ]
    for writer in pen_strokes.writers(4):
        lines = [pen_strokes.write(text, writer, np.random.default_rng(1)) for text in texts]
        found = measures.most_alike(lines, [neutral] * len(texts))
        np.testing.assert_array_equal(found, np.arange(len(texts)))


def test_warped_distance_is_zero_of_itself_and_takes_delays():
    path = np.stack([np.linspace(0, 1, 64), np.zeros(64)], axis=1)
    late = np.concatenate([np.repeat(path[:1], 5, 0), path[:-5]])
    assert measures.warped_distance(path, path) == 0
    shift = np.abs(path - late).sum()
    assert 0 < measures.warped_distance(path, late) < 0.5 * shift
