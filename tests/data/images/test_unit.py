"""Small images as vectors: scaled, counted, kept."""

import numpy as np
import pytest

from research.core import UserError
from research.data.images.unit import EXAMPLES, UnitImages


def digits(**changed):
    setting = {
        "name": "digits",
        "shape": (8, 8),
        "train_split": "train[:50]",
        "test_split": "test[:20]",
        "num_train": 50,
    }
    return UnitImages(**{**setting, **changed})


def test_ink_is_one_and_paper_is_zero():
    images = digits()
    assert images.train.shape == (50, 64) and images.train.dtype == np.float32
    assert images.train.min() == 0 and images.train.max() == 1
    assert len(np.unique(images.train)) > 10  # grey
    assert images.size == 64
    pictures = images.pictures(images.train[:3])
    assert pictures.shape == (3, 8, 8, 1) and pictures.min() == -1 and pictures.max() == 1
    np.testing.assert_array_equal(pictures[1, 2, :, 0], 2 * images.train[1, 16:24] - 1)


def test_batches_know_which_image_is_which():
    images = digits()
    stream = images.stream(10, 0)
    batch = stream(None)
    np.testing.assert_array_equal(batch["image"], images.train[batch["index"]])
    assert "digits" in stream.origin
    rows = images.rows(images.test)
    assert rows[3]["index"] == 3 and rows[3]["image"].shape == (64,)


def test_enlarged_images_keep_their_places():
    images = digits(shape=(16, 16), enlarge=2)
    assert images.train.shape == (50, 256) and images.train.max() <= 1
    small = digits().train.reshape(50, 8, 8)
    large = images.train.reshape(50, 8, 2, 8, 2).mean((2, 4))
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.95


def test_arms_of_a_run_decode_once():
    assert digits().train is digits().train
    assert not digits().train.flags.writeable


def test_a_run_keeps_examples_so_that_it_needs_no_data():
    files = digits().to_files()
    finished = digits(name="no_such_data")
    finished.from_files(files)
    np.testing.assert_array_equal(finished.examples, digits().test[:EXAMPLES])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"num_train": 60}, "set --config.data.num_train=50"),
        ({"shape": (28, 28)}, r"has images \[8, 8\].*data.height and data.width are 28 and 28"),
        ({"test_split": "test[:0]"}, "is empty"),
        ({"name": "no_such_data"}, "no data set is called"),
    ],
)
def test_refusals(changed, words):
    with pytest.raises(UserError, match=words):
        digits(**changed).stream(10, 0).open()
