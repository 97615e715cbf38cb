"""Data of the problems: pieces of Python's library, bags of words, images whitened or not."""

import numpy as np
import pytest

from research import app, config
from research.core import UserError
from research.papers.adam import examples, python_packages
from research.papers.adam.examples import ImageExamples, WordExamples

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "adam.py")
configs = config.load_module(ROOT / "configs" / "adam.py")

TEXTS = {
    "train": [("the cat", 0), ("the dog barks", 1), ("dog dog", 1)],
    "train[3:]": [("the cat", 0)],
    "test": [("a bird", 1), ("cat", 0)],
}


@pytest.fixture
def words(monkeypatch):
    def read(name, split, folder):
        records = [{"text": text, "label": np.int32(label)} for text, label in TEXTS[split]]
        return examples.Dataset(records, f"{name} {split}", ("feline", "canine"))

    monkeypatch.setattr(examples, "_open", read)
    examples._bags.cache_clear()
    yield lambda **changed: WordExamples(
        "animals",
        "",
        ("train", "train[3:]", "test"),
        **{"num_words": 4, "num_train": 3, "num_classes": 2, **changed},
    )
    examples._bags.cache_clear()


def test_texts_are_the_commonest_words_of_the_training_part(words):
    found = words()
    assert found.words.words == ("dog", "the", "barks", "cat")
    parts = found.parts()
    assert parts["train"]["input"].tolist() == [[0, 1, 0, 1], [1, 1, 1, 0], [1, 0, 0, 0]]
    assert parts["test"]["input"].tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    assert parts["validation"]["label"].tolist() == [0]
    assert found.origin() == "animals train"
    batch = found.stream(2, 0)(None)
    assert batch["input"].shape == (2, 4) and batch["input"].dtype == np.uint8


def test_a_run_keeps_words_names_and_texts(words):
    found, again = words(), words()
    again.from_files(found.to_files())
    again._setting = None  # the data is gone
    assert again.words.words == found.words.words
    assert list(again.class_names) == ["feline", "canine"]
    assert list(again.texts) == ["a bird", "cat"]


def test_texts_that_are_too_few_are_refused(words):
    with pytest.raises(UserError, match="num_train is 5, but .* set --config.data.num_train=3"):
        words(num_train=5).parts()
    with pytest.raises(UserError, match="label 1, but 1 classes"):
        words(num_classes=1).parts()


def test_pieces_of_pythons_packages():
    train, test = python_packages.load("train"), python_packages.load("test")
    assert len(train) >= 3600 and len(test) >= 500  # what the configuration takes
    assert {int(record["label"]) for record in train} == set(range(9))
    assert all(len(record["text"]) == 500 for record in train)
    assert not {r["text"] for r in test} & {r["text"] for r in train if r["text"].count("\n") > 12}
    part = python_packages.load("train[10:20]")
    assert [part[i]["text"] for i in range(10)] == [train[i]["text"] for i in range(10, 20)]
    assert train.class_names == python_packages.PACKAGES


def images(**changed):
    setting = {"size": 8, "channels": 1, "num_train": 200, "num_classes": 10, "scale": 127.5 / 16}
    splits = ("train[:200]", "train[200:260]", "test[:40]")
    return ImageExamples("digits", "", splits, **{**setting, "whitening": 0.0, **changed})


def test_pixels_lie_in_0_to_1_and_parts_have_no_image_in_common():
    parts = images().parts()
    assert [len(parts[part]["label"]) for part in examples.PARTS] == [200, 60, 40]
    train = parts["train"]["input"]
    assert train.min() == 0 and train.max() == 1 and train.shape[1:] == (8, 8, 1)
    seen = [{x.tobytes() for x in parts[part]["input"]} for part in examples.PARTS]
    assert not seen[0] & seen[1] and not seen[0] & seen[2]


def test_whitening_is_of_the_training_images_and_kept_by_a_run():
    found, again = images(whitening=0.01), images(whitening=0.01)
    train = found.parts()["train"]["input"].reshape(200, -1)
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
    variances = train.var(0)
    assert variances[variances > 1e-6].max() <= 1.01
    again.from_files(found.to_files())
    picture = found.kept.examples[0].picture
    both = [x.inputs([x.kept.record(picture)]) for x in (found, again)]
    np.testing.assert_allclose(*both, rtol=1e-5, atol=1e-5)


def test_images_that_are_too_few_are_refused():
    with pytest.raises(UserError, match="data.num_train is 7"):
        images(num_train=7).parts()


def test_a_demo_reads_text(words):
    setting = configs.get_config("smoke")
    with setting.unlocked():
        setting.problem = "words"
        setting.model.widths = ()
        setting.data.update({"train_split": "train", "validation_split": "train[3:]"})
        setting.data.update({"test_split": "test", "num_train": 3, "num_words": 4})
        setting.data.num_classes = 2
    setting.batch_size = 2
    experiment = app.build(script, setting)
    demo = script.demo(experiment, experiment.init(script.jax.random.key(0)))
    shares = demo.run(text="the dog", setting="rate_0.001")["classes"]
    assert set(shares) == {"feline", "canine"}
    np.testing.assert_allclose(sum(shares.values()), 1, rtol=1e-5)
    with pytest.raises(UserError, match="none of these words"):
        demo.run(text="42 zebras", setting="rate_0.001")
