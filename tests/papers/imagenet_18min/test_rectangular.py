"""Test batches of one shape, each image once; canvases that are what their ground truth says."""

import numpy as np

from research.data.dataset import Dataset, Rows
from research.papers.imagenet_18min import canvases, rectangular

SHAPES = [(int(h), int(w)) for h, w in np.random.default_rng(0).integers(40, 160, (103, 2))]


def test_rectangular_batches():
    batches = rectangular.rectangular_batches(SHAPES, 10, 64)
    assert sorted(i for b in batches for i in b.indices) == list(range(103))
    assert [len(b.indices) for b in batches] == [10] * 10 + [3]
    means = [np.mean([SHAPES[i][1] / SHAPES[i][0] for i in b.indices]) for b in batches]
    assert means == sorted(means)
    for batch, aspect in zip(batches, means, strict=True):
        height, width = batch.shape
        short, long = min(batch.shape), max(batch.shape)
        assert short == 64 and long % 8 == 0
        ideal = 64 * max(aspect, 1 / aspect)
        assert ideal - 8 < long <= ideal * 1.001
        assert long == 64 or (width > height) == (aspect >= 1)


def test_a_ratio_of_whole_numbers_is_not_rounded_down():
    assert rectangular.crop_shape(40 / 28, 28) == (28, 40)
    assert rectangular.crop_shape(28 / 56, 28) == (56, 28)
    assert rectangular.crop_shape(1.0, 288) == (288, 288)


def test_workers_share_all_batches_in_as_many_steps():
    batches = rectangular.rectangular_batches(SHAPES, 10, 64)
    shares = [rectangular.share(batches, worker, 4) for worker in range(4)]
    assert [len(own) for own in shares] == [3] * 4
    assert sum(len(b.indices) == 0 for own in shares for b in own) == 1
    assert sorted(i for own in shares for b in own for i in b.indices) == list(range(103))


def test_fit_shows_the_middle_and_never_a_border():
    image = np.full((50, 90, 3), 200, np.uint8)
    image[:, :2] = image[:, -2:] = 0
    for shape in ((32, 32), (32, 64), (64, 32), (32, 104)):
        assert rectangular.fit(image, shape, 1.0).shape == (*shape, 3)
        assert rectangular.fit(image, shape, 1.0).max() == 200
    assert (rectangular.fit(image, (32, 32), 1.14) == 200).all()
    # Whole where shape and margin let it be.
    np.testing.assert_array_equal(rectangular.fit(image, (50, 90), 1.0), image)


def test_canvases_hold_their_image_where_they_say():
    images = np.zeros((3, 4, 4), np.float32)
    images[:, 1:3, 0] = np.array([4, 8, 16])[:, None]
    digits = Dataset(Rows({"image": images, "label": np.arange(3)}), "toy")
    placed = canvases.place(digits, 60, 0, 8, (12, 16))
    shapes = set()
    for i, record in enumerate(placed):
        image, offset = record["image"], record["offset"]
        shapes.add(image.shape)
        tall = image.shape[0] > image.shape[1]
        found = image[offset : offset + 8] if tall else image[:, offset : offset + 8]
        expected = np.round(images[i % 3] * 255 / 16).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(found, expected)
        assert found.sum() == image.sum() and record["label"] == i % 3
    assert shapes == {(8, 12), (8, 16), (12, 8), (16, 8)}
