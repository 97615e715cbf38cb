"""Data sets saved by Hugging Face's `datasets`: records as scripts look for them, and refusals."""

import sys

import numpy as np
import pytest
from PIL import Image

from research.core.errors import UserError
from research.data import load


@pytest.fixture
def datasets():
    return pytest.importorskip("datasets")


def picture(i):
    return Image.new("RGBA" if i == 1 else "L", (5 + i, 4), (9, 9, 9, 0) if i == 1 else 7 * i)


def photographs(datasets, rows):
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine_label": datasets.ClassLabel(names=["owl", "fox"]),
            "weight": datasets.Value("float32"),
            "boxes": datasets.Sequence(datasets.Value("int32")),
        }
    )
    columns = {
        "img": [picture(i) for i in range(rows)],
        "fine_label": [i % 2 for i in range(rows)],
        "weight": [0.5 * i for i in range(rows)],
        "boxes": [[i] for i in range(rows)],
    }
    return datasets.Dataset.from_dict(columns, features)


def test_images_and_labels_have_the_names_that_scripts_look_for(datasets, tmp_path):
    saved = {"train": photographs(datasets, 4), "test": photographs(datasets, 2)}
    datasets.DatasetDict(saved).save_to_disk(str(tmp_path / "birds"))
    data = load(f"hf:{tmp_path}/birds", "train")
    assert len(data) == 4 and data.class_names == ("owl", "fox")
    record = data[3]
    assert set(record) == {"image", "label", "weight"}
    assert record["label"] == 1 and record["weight"] == np.float32(1.5)
    assert record["image"].dtype == np.uint8 and record["image"].shape == (4, 8, 3)
    assert (record["image"] == 21).all() and (data[1]["image"] == 255).all()  # on white
    assert len(load(f"hf:{tmp_path}/birds", "train[:50%]")) == 2
    assert "4 records, train, split as saved" in data.origin
    with pytest.raises(UserError, match="no split 'validation'; it has train, test"):
        load(f"hf:{tmp_path}/birds", "validation")


def test_one_table_is_split_by_shares(datasets, tmp_path):
    rows = [f"text {i}" for i in range(200)]
    datasets.Dataset.from_dict({"sentence": rows}).save_to_disk(str(tmp_path / "texts"))
    found = {
        split: {record["text"] for record in load(f"hf:{tmp_path}/texts?test=0.2", split)}
        for split in ("train", "validation", "test")
    }
    assert set.union(*found.values()) == set(rows)
    assert sum(map(len, found.values())) == 200 and 20 < len(found["test"]) < 60


def test_translations_are_pairs(datasets, tmp_path):
    features = datasets.Features({"translation": datasets.Translation(languages=["de", "en"])})
    rows = {"translation": [{"de": "ein Hund", "en": "a dog"}] * 3}
    table = datasets.Dataset.from_dict(rows, features)
    datasets.DatasetDict(train=table).save_to_disk(str(tmp_path / "pairs"))
    assert load(f"hf:{tmp_path}/pairs", "train")[2] == {"source": "ein Hund", "target": "a dog"}


def test_what_is_wrong_is_one_line(datasets, tmp_path):
    (tmp_path / "empty").mkdir()
    rows = {"text": ["a", None]}
    datasets.DatasetDict(train=datasets.Dataset.from_dict(rows)).save_to_disk(str(tmp_path / "gap"))
    lists = datasets.Dataset.from_dict({"a": [[1, 2]]})
    datasets.DatasetDict(train=lists).save_to_disk(str(tmp_path / "lists"))
    for name, words in {
        "empty": "holds no data set that was saved by save_to_disk",
        "nowhere": "there is no",
        "lists": "has no image, text, label or number",
    }.items():
        with pytest.raises(UserError, match=words) as error:
            load(f"hf:{tmp_path}/{name}", "train")
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="record 1: text is empty"):
        load(f"hf:{tmp_path}/gap", "train")[1]


def test_without_the_package_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install -e '.\[hf\]'"):
        load(f"hf:{tmp_path}", "train")
