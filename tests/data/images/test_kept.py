"""What a run keeps of its images makes pictures of any kind inputs of its network."""

import numpy as np
import pytest

from research.data.dataset import Dataset, Rows
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import EXAMPLES, KeptImages


def kept_of(name, size, **settings):
    return KeptImages(Images(ImageSplits(name, size), size, **settings), 10)


def reloaded(kept, name, size, **settings):
    def closed(split):
        raise AssertionError("the data is not to be opened")

    other = KeptImages(Images(closed, size, **settings), kept.num_classes)
    other.from_files(kept.to_files())
    return other


@pytest.mark.parametrize("name", ["digits", "proc_shapes"])
def test_an_example_is_classified_as_the_test_image_it_is(name):
    """Through PNG and back, the network gets what it gets in a test."""
    settings = {"statistics_images": 50}
    if name == "digits":
        settings["channels"] = 1
    size = 8 if name == "digits" else 16
    kept = kept_of(name, size, **settings)
    other = reloaded(kept, name, size, **settings)
    assert len(other.examples) == EXAMPLES
    for i, example in enumerate(other.examples):
        expected = kept.images.test_rows[i]
        (view,) = other.images.views(other.record(example.picture))
        np.testing.assert_allclose(view, expected["views"][0], atol=0.005)
        assert example.class_name == other.class_names[expected["label"]]
    assert other.class_names == kept.class_names and len(other.class_names) == 10


def test_any_picture_has_the_size_and_colours_of_the_set():
    kept = kept_of("digits", 8, channels=1)
    image = kept.record(np.full((30, 50, 3), 255, np.uint8))["image"]
    assert image.shape == (8, 8) and image.max() == 16
    assert kept.record(np.zeros((5, 4), np.uint8))["image"].shape == (8, 8)


def test_images_of_several_sizes_stay_as_they_are():
    images = [np.zeros((20, 30, 3), np.uint8), np.zeros((30, 20, 3), np.uint8)]
    records = [{"image": x, "label": i} for i, x in enumerate(images)]
    kept = KeptImages(Images(lambda split: Dataset(records, "two"), 16), 3)
    picture = np.zeros((40, 70, 3), np.uint8)
    assert kept.record(picture)["image"].shape == picture.shape
    assert kept.class_names == ["class 0", "class 1", "class 2"]


def test_class_names_go_with_the_data():
    named = Dataset(Rows({"label": np.zeros(2, int)}), "", ("a", "b"))
    assert named.in_memory().class_names == ("a", "b")
    assert ImageSplits("digits", 8)("test[:5]").class_names == tuple("0123456789")


def test_images_of_an_experiment_keep_their_names():
    assert kept_of("proc_shapes", 16).class_names[0] == "disc"
