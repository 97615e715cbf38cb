"""Labelled texts: splits, folds, words, and what a run keeps."""

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.text import labelled
from research.data.text.labelled import LabelledTexts, Part, in_fold, labelled_texts
from research.data.text.tokenization import UNK

SPLITS = ("train", "validation", "test", "")


def procedural(**changed):
    options = {
        "name": "procedural",
        "data_dir": "",
        "splits": SPLITS,
        "fold": 0,
        "folds": 0,
        "procedural_train": 60,
        "procedural_test": 20,
        "num_classes": 2,
        "vocab_size": 50,
    }
    return labelled_texts(**{**options, **changed})


def test_splits_share_no_review():
    texts = [procedural().part(split).texts for split in SPLITS[:3]]
    assert [len(part) for part in texts] == [60, 20, 20]
    assert len(set().union(*texts)) == 100
    assert procedural().part("unlabelled") is procedural().part("train")


def test_words_are_those_of_the_training_texts():
    texts = procedural()
    assert texts.tokenizer.get_vocab_size() == 50
    (first, *_), (tokens, *_) = texts.part("train").texts, texts.encoded("train")
    assert np.array_equal(tokens, texts.encode(first)) and tokens.dtype == np.int32
    assert len(tokens) == len(texts.words(first)) == len(first.split())
    assert np.array_equal(texts.encode(first.upper()), tokens)
    assert texts.encode("Zyzzyva THE.").tolist()[0] == UNK
    assert texts.encode("  ").tolist() == [UNK]


def test_a_run_keeps_words_and_examples():
    texts = procedural()
    again = LabelledTexts(lambda split: pytest.fail("nothing is to be read"), 50)
    again.from_files(texts.to_files())
    line = texts.part("test").texts[0]
    assert np.array_equal(again.encode(line), texts.encode(line))
    assert again.examples == texts.examples and len(again.examples) == 5


def test_folds_are_tested_on_once_each():
    tested = [in_fold(23, "test", fold, 5) for fold in range(5)]
    assert sorted(np.concatenate(tested)) == list(range(23))
    for fold in range(5):
        parts = [in_fold(23, split, fold, 5) for split in ("train", "validation", "test")]
        assert sorted(np.concatenate(parts)) == list(range(23))
        assert np.array_equal(parts[1], tested[(fold + 1) % 5])


def records(name, split, data_dir):
    found = [{"text": f"{split} number {i}<br /><br />end", "label": i % 2} for i in range(40)]
    return Found(found)


class Found(list):
    origin = "made here"


def test_a_set_without_splits_is_shuffled_and_cut(monkeypatch):
    monkeypatch.setattr(labelled, "load", lambda name, split, folder: records(name, split, folder))
    parts = {s: procedural(name="some", folds=10, fold=3).part(s) for s in SPLITS[:3]}
    assert [len(part.texts) for part in parts.values()] == [32, 4, 4]
    assert len(set().union(*(part.texts for part in parts.values()))) == 40
    numbers = [int(text.split()[2]) for text in parts["train"].texts]
    assert numbers != sorted(numbers)
    assert [n % 2 for n in numbers] == parts["train"].labels.tolist()
    assert "fold 3 of 10" in parts["test"].origin and "<br" not in parts["test"].texts[0]


def test_splits_and_texts_without_labels_are_named(monkeypatch):
    def load(name, split, folder):
        found = records(name, split, folder)
        for record in found if split == "unsupervised" else ():
            record["label"] = -1
        return found

    monkeypatch.setattr(labelled, "load", load)
    texts = procedural(name="other", splits=("train", "validation", "test[:50%]", "unsupervised"))
    assert texts.part("test").texts[0].startswith("test[:50%] number 0")
    unlabelled = texts.part("unlabelled").texts
    assert len(unlabelled) == 80 and unlabelled[:40] == texts.part("train").texts
    assert unlabelled[40].startswith("unsupervised")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([{"text": "a", "label": 2}], "label 2"),
        ([{"sentence": "a", "label": 1}], "has no text, but sentence, label"),
    ],
)
def test_wrong_records_are_refused(found, words, monkeypatch):
    monkeypatch.setattr(labelled, "load", lambda *args: Found(found))
    with pytest.raises(UserError, match=words):
        procedural(name=f"wrong {words}").part("train")


@pytest.mark.parametrize(("fold", "folds"), [(5, 5), (0, 2)])
def test_a_fold_that_there_is_not_is_refused(fold, folds):
    with pytest.raises(UserError, match="none of"):
        procedural(fold=fold, folds=folds)


def test_part_has_one_label_a_text():
    part = procedural().part("train")
    assert isinstance(part, Part) and part.labels.shape == (60,) and set(part.labels) == {0, 1}
