"""The real files are read whole, and hold what is published of them."""

import re

import numpy as np
import pytest

from research import data
from research.core import UserError
from research.data.sources import catalogue
from research.data.sources.readers import image_files, scene_files, sequence_files, text_files

SPLITS = [(name, split) for name, raw in catalogue.SETS.items() for split in raw.counts]
# These take seconds each; the same readers are tested on the other splits.
NOT_HERE = {("frey_face", "train")}  # its reader is tested on a file that is written there
LARGE = {("imdb_reviews", "train"), ("imdb_reviews", "test"), ("babi/en-10k", "train")}


@pytest.fixture
def load(raw_folder):
    return lambda name, split="train": data.load(name, split, str(raw_folder))


@pytest.mark.parametrize(("name", "split"), [s for s in SPLITS if s not in LARGE | NOT_HERE])
def test_every_split_is_read(load, name, split):
    dataset = load(name, split)  # `files.read` compares size and number of records
    first, last = dataset[0], dataset[len(dataset) - 1]
    assert first.keys() == last.keys()
    assert name in dataset.origin and catalogue.SETS[name].folder in dataset.origin
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    for key, value in first.items():
        assert isinstance(value, str | int | tuple | dict | np.ndarray), key
        if isinstance(value, np.ndarray) and key != "points":
            assert value.dtype == last[key].dtype and value.ndim == last[key].ndim


@pytest.mark.slow
@pytest.mark.parametrize(("name", "split"), sorted(LARGE))
def test_large_splits_are_read(load, name, split):
    load(name, split)


def test_cut_file_is_noticed_before_it_is_read(raw_folder, tmp_path):
    place = tmp_path / "ett"
    place.mkdir()
    content = (raw_folder / "ett/ETTh1.csv").read_bytes()
    (place / "ETTh1.csv").write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"ETTh1.csv has 2589656 bytes instead of 2589657.*github"):
        data.load("ett/h1", "train", str(tmp_path))
    (place / "ETTh1.csv").unlink()
    with pytest.raises(UserError, match=r"ETTh1.csv is missing; get it from github"):
        data.load("ett/h1", "train", str(tmp_path))


def test_omniglot(load):
    dataset = load("omniglot", "small1")
    drawings = load("omniglot/strokes", "small1")
    assert dataset[1000]["image"].dtype == np.uint8
    assert set(np.unique(dataset[1000]["image"])) == {0, 255}
    seen = [(r["alphabet"], r["alphabet_char_id"], r["label"]) for r in drawings]
    assert len(set(seen)) == len({label for *_, label in seen}) == 136
    assert {image_files.ALPHABETS[a] for a, *_ in seen} == {
        "Balinese",
        "Early_Aramaic",
        "Greek",
        "Korean",
        "Latin",
    }
    # The strokes lie on the ink of the image of the same drawing.
    image, drawing = dataset[1000], drawings[1000]
    assert image["label"] == drawing["label"]
    x, y = drawing["points"][:, 0].round().astype(int), -drawing["points"][:, 1].round().astype(int)
    ink = image["image"][y.clip(0, 104), x.clip(0, 104), 0] == 0
    assert ink.mean() > 0.8
    assert drawing["drawer"] in range(20)


def test_omniglot_runs(load):
    for run in load("omniglot/runs", "test"):
        assert sorted(run["answer"]) == list(range(20))
        assert run["training"].shape == run["test"].shape == (20, 105, 105)


def test_detection_boxes(load):
    for name, count in (("coco128", 80), ("bccd", 3)):
        boxes = [record["objects"] for record in load(name)]
        label = np.concatenate([b["label"] for b in boxes])
        ymin, xmin, ymax, xmax = np.concatenate([b["bbox"] for b in boxes]).T
        assert label.min() >= 0 and label.max() < count and len(label) > 900
        assert min(ymin.min(), xmin.min()) >= -1e-5 and max(ymax.max(), xmax.max()) <= 1 + 1e-5
        assert (ymin <= ymax).all() and (xmin <= xmax).all()
    assert set(scene_files.BLOOD_CELLS[i] for i in set(label)) == {"RBC", "WBC", "Platelets"}


def test_polygons_lie_on_the_mask_of_their_class(load):
    dataset = load("coco128/segmentation")
    inside = []
    for record in dataset:
        assert record["mask"].shape == record["image"].shape[:2]
        for polygon, label in zip(record["polygons"], record["label"], strict=True):
            rows, columns = (polygon * record["mask"].shape - 0.5).round().astype(int).T
            height, width = record["mask"].shape
            # Corners lie on the edge of a region, so the class is looked for nearby.
            near = [
                record["mask"][(rows + r).clip(0, height - 1), (columns + c).clip(0, width - 1)]
                for r in (-2, 0, 2)
                for c in (-2, 0, 2)
            ]
            inside.append(np.any(np.stack(near) == label, 0).mean())
    assert sum(len(record["polygons"]) == 0 for record in dataset) == 2
    assert np.mean(inside) > 0.9


def test_tiny_imagenet_has_every_class_equally_often(load):
    for split, count in (("train", 90), ("validation", 30)):
        dataset = load("tiny_imagenet_40", split)
        labels = [entry[1] for entry in dataset._records._entries]
        assert np.bincount(labels).tolist() == [count] * 40
        assert dataset[7]["image"].shape == (64, 64, 3)


def test_faces_are_labelled_by_their_names(load):
    dataset = load("utkface64")
    part = [dataset[i] for i in range(0, 4000, 40)]
    assert {r["sex"] for r in part} == {0, 1} and {r["race"] for r in part} <= set(range(5))
    assert 0 < min(r["age"] for r in part) and max(r["age"] for r in part) <= 116


def test_character_text_is_cut_without_loss(load):
    parts = [load("tiny_shakespeare", s)[0]["text"] for s in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [1003854, 55770, 55770]
    assert len(set("".join(parts))) == 65


def test_word_text_has_the_published_number_of_tokens(load):
    counts = {"train": 929589, "validation": 73760, "test": 82430}
    for split, count in counts.items():
        sentences = [record["text"].split() for record in load("ptb", split)]
        assert sum(len(words) + 1 for words in sentences) == count
    # 10000 words in all, of which one is the end of a sentence.
    assert len({w for record in load("ptb") for w in record["text"].split()}) == 9999


def test_labels_of_sentences(load):
    assert {r["label"] for r in load("sst/binary")} == {0, 1}
    assert {r["label"] for r in load("sst/fine")} == {0, 1, 2, 3, 4}
    reviews = load("movie_review_mr")
    assert [reviews[i]["label"] for i in range(4)] == [0, 1, 0, 1]
    questions = load("trec")
    assert len({r["label-coarse"] for r in questions}) == len(text_files.QUESTION_TYPES) == 6
    assert {r["label-fine"] for r in questions} == set(range(len(text_files.QUESTION_SUBTYPES)))
    movies = load("imdb_reviews", "test")
    assert sum(r["label"] for r in movies) == 5000
    assert sum(r["label"] for r in [movies[i] for i in range(100)]) == 50


def test_intents_and_slots(load):
    records = load("atis")
    assert len({record["intent"] for record in records}) == 21
    assert len({slot for record in records for slot in record["slots"].split()}) == 120


def test_translations_are_of_the_same_sentence(load):
    record = load("multi30k_en_de")[0]
    assert record["en"] == "Two young, White males are outside near many bushes."
    assert record["de"].startswith("Zwei junge weiße Männer")


def test_stories(load):
    records = load("babi/en", "test")
    assert np.bincount([r["task"] for r in records]).tolist() == [0] + [1000] * 20
    assert [r["task"] for r in records] == sorted(r["task"] for r in records)
    for record in records:
        assert all(0 <= position < len(record["story"]) for position in record["support"])
    # Task 1: the answer stands in the supporting sentence, which is about the person asked for.
    for record in [r for r in records if r["task"] == 1]:
        sentence = record["story"][record["support"][0]]
        person = re.fullmatch(r"Where is (\w+)\?", record["question"])[1]
        assert person in sentence and record["answer"] in sentence


def test_answers_stand_in_their_context(load):
    records = load("squad", "validation")
    assert len({r["title"] for r in records}) == 48
    assert len({r["context"] for r in records}) == 2067
    for record in records:
        answers = record["answers"]
        for answer, start in zip(answers["text"], answers["answer_start"], strict=True):
            assert record["context"][start : start + len(answer)] == answer


def test_negotiations(load):
    for record in load("negotiate", "validation"):
        # Both sides see the same items, and each values them at 10 in all.
        for side in ("input", "partner_input"):
            assert record[side][::2] @ record[side][1::2] == 10
        assert (record["input"][::2] == record["partner_input"][::2]).all()
        assert record["dialogue"].endswith("<selection>") and len(record["output"].split()) == 6
    for record in load("negotiate/selfplay"):
        assert (record["you"][::2] == record["them"][::2]).all()


def test_pronunciations(load):
    records = load("cmudict")
    assert len({p.rstrip("012") for r in records for p in r["phonemes"].split()}) == 39
    assert not any(re.search(r"[(#]", r["word"]) for r in records)


def test_sound(load):
    digits = load("spoken_digit")
    part = [digits[i] for i in range(0, 2000, 10)]
    assert {r["label"] for r in part} == set(range(10))
    assert 70 < sum(len(r["audio"]) for r in part) / sequence_files.SAMPLE_RATE < 100  # of 848 s
    notes = load("philharmonia")
    labels = [record["label"] for record in notes]
    assert np.bincount(labels).tolist() == [100, 100, 100]
    assert all(re.fullmatch(r"[A-G]s?\d", record["note"]) for record in notes)


def test_voices_are_the_notes_of_the_chorales(load):
    def pieces(name, split):  # the two files have them in another order
        return {np.sort(record["notes"]).tobytes() for record in load(name, split)}

    for split, count in (("train", 229), ("validation", 76), ("test", 77)):
        together = pieces("jsb_chorales/16th", split)
        assert len(together) == count and together == pieces("jsb_chorales/voices", split)


def test_tables(load):
    assert load("ett/h1").arrays()["values"].shape == (17420, 7)
    plant = load("ccpp").arrays()
    assert plant["inputs"].shape == (9568, 4)
    assert 420 < plant["targets"].min() < plant["targets"].max() < 500  # megawatts
    targets = load("moleculenet/tox21").arrays()["targets"]
    assert np.nanmax(targets) == 1 and np.nanmin(targets) == 0
    assert 0.1 < np.isnan(targets).mean() < 0.3  # not every compound was tested on all 12
    assert not np.isnan(load("moleculenet/esol").arrays()["targets"]).any()
