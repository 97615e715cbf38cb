"""Labels that are no classes are refused when they are read, and a sample before training."""

import numpy as np
import pytest

from research.core import UserError
from research.data.dataset import Dataset, Rows
from research.data.images.images import Images
from research.data.images.squares import Squares
from research.data.labels import check_sample, with_labels


def images_with(labels, **options):
    pictures = np.zeros((len(labels), 8, 8, 3), np.uint8)
    splits = {
        "train": Dataset(Rows({"image": pictures, "label": np.array(labels)}), "the set"),
        "test": Dataset(Rows({"image": pictures, "label": np.array(labels)}), "the set"),
    }
    splits |= options
    return Images(splits.__getitem__, 8, augmentation="whole", num_classes=10)


def test_classes_pass():
    images = images_with(list(range(10)) * 3)
    images.stream(4, 0).open()
    assert [row["label"] for row in images.test_rows] == list(range(10)) * 3


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([*range(9), 10], "record 9 of Dataset.* has the label 10, but 10 classes are 0 to 9"),
        ([0, -1], "record 1 .* has the label -1.*without labels"),
        ([-1, -1], "record 0 .*without labels"),
        ([0, 255, 3], "record 1 .* has the label 255"),
        ([0.0, 0.5], "record 0 .* has the label .*which is no number"),
    ],
)
def test_others_are_named(labels, words):
    for read in (lambda i: i.stream(2, 0).open(), lambda i: list(i.test_rows)):
        with pytest.raises(UserError, match=words):
            read(images_with(labels))


def test_a_wrong_label_in_the_middle_of_training_is_named():
    """The sample that is read before training need not hold it."""
    labels = [0] * 200
    labels[101] = 10
    stream = images_with(labels).stream(50, 0)
    stream.open()
    with pytest.raises(UserError, match="record 101 of .* has the label 10"):
        for _ in range(8):
            stream(None)


def test_the_test_set_is_looked_at_before_training():
    nothing = Dataset(Rows({"image": np.zeros((0, 8, 8, 3), np.uint8)}), "nothing")
    with pytest.raises(UserError, match="nothing.* is empty"):
        images_with([0, 1], test=nothing).stream(2, 0).open()
    without = Dataset(Rows({"image": np.zeros((4, 8, 8, 3), np.uint8)}), "no labels")
    with pytest.raises(UserError, match="has no label, but image"):
        images_with([0, 1], test=without).stream(2, 0).open()


def test_records_of_any_kind_are_checked():
    records = with_labels([{"label": 0}, {"label": 3}], 2)
    assert records[0] == {"label": 0}
    with pytest.raises(UserError, match="record 1"):
        check_sample(records)


def test_squares_know_their_labels():
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    for labels, words in (([0, -1], "record 1 .* -1"), (None, "record 0 .* has no label")):
        arrays = {"image": pictures} | ({} if labels is None else {"label": np.array(labels)})
        with pytest.raises(UserError, match=words):
            Squares(Dataset(Rows(arrays), "x"), 8).labels()
