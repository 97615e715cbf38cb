"""Test batches of one shape, each image once; canvases that are what their ground truth says."""

import numpy as np

from research.data.dataset import Dataset, Rows
from research.papers.imagenet_18min import canvases, rectangular

SHAPES = [(int(h), int(w)) for h, w in np.random.default_rng(0).integers(40, 160, (103, 2))]


def test_rectangular_crops():
    crops = rectangular.rectangular_crops(SHAPES, 10, 64)
    assert sorted(i for images in crops.values() for i in images) == list(range(103))
    aspects = np.array([width / height for height, width in SHAPES])
    order = np.argsort(aspects)
    found = {i: shape for shape, images in crops.items() for i in images}
    for start in range(0, 103, 10):
        chunk = order[start : start + 10]
        (shape,) = {found[i] for i in chunk}  # one shape, that of the chunk's mean aspect
        aspect = aspects[chunk].mean()
        height, width = shape
        assert min(shape) == 64 and max(shape) % 8 == 0
        ideal = 64 * max(aspect, 1 / aspect)
        assert ideal - 8 < max(shape) <= ideal * 1.001
        assert max(shape) == 64 or (width > height) == (aspect >= 1)
    assert rectangular.square_crops(3, 64) == {(64, 64): [0, 1, 2]}


def test_a_ratio_of_whole_numbers_is_not_rounded_down():
    assert rectangular.crop_shape(40 / 28, 28) == (28, 40)
    assert rectangular.crop_shape(28 / 56, 28) == (56, 28)
    assert rectangular.crop_shape(1.0, 288) == (288, 288)


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
