"""Training crops cover what they should; test batches of one shape, each image once."""

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.dataset import Dataset, Rows
from research.data.images import augment
from research.data.images.crops import Crops, normalize
from research.papers.imagenet_18min import canvases, rectangular


def test_resized_crops_have_areas_aspects_and_places_of_all_kinds():
    """Two gradients tell which part of the image a crop shows."""
    ramp = np.linspace(0, 255, 401)
    image = np.stack(np.broadcast_arrays(ramp[None, :], ramp[:, None], 0.0), -1).astype(np.uint8)
    rng, areas, aspects, places = np.random.default_rng(0), [], [], []
    for _ in range(600):
        part = augment.resized_crop(image, rng, 32, 0.25).astype(float)
        assert part.shape == (32, 32, 3)
        width, height = (
            (part[16, -1, 0] - part[16, 0, 0]) / 255 * 32 / 31,
            (part[-1, 16, 1] - part[0, 16, 1]) / 255 * 32 / 31,
        )
        areas.append(width * height)
        aspects.append(width / height)
        places.append(part[16, 0, 0] / 255)
    assert 0.23 < min(areas) < 0.3 and 0.9 < max(areas) < 1.05
    assert 0.72 < min(aspects) < 0.8 and 1.25 < max(aspects) < 1.4
    assert abs(np.mean(np.log(aspects))) < 0.03 and max(places) > 0.3 and min(places) < 0.02


def test_an_image_too_narrow_for_any_draw_gives_its_middle():
    image = np.zeros((400, 20, 3), np.uint8)
    image[190:210] = 255
    part = augment.resized_crop(image, np.random.default_rng(0), 8, 0.9)
    assert (part == 255).all()


@pytest.mark.parametrize("crop", ["resized", "random", "whole"])
def test_training_crops_of_any_image(crop):
    rng = np.random.default_rng(0)
    record = {"image": rng.integers(0, 256, (20, 31), dtype=np.uint8), "label": np.int64(3)}
    example = Crops(16, crop, mirror=False).augmented(record, rng)
    assert example["image"].shape == (16, 16, 3) and example["image"].dtype == np.uint8
    assert example["label"] == 3 and example["label"].dtype == np.int32
    same = Crops(20, "random", mirror=False).augmented(record, np.random.default_rng(1))["image"]
    assert any(np.array_equal(same[..., 0], record["image"][:, x : x + 20]) for x in range(12))


def test_smaller_copies_and_averages():
    record = {"image": np.zeros((40, 60, 3), np.uint8), "label": 0}
    assert Crops(8, stored_side=20).read(record).shape == (20, 30, 3)
    assert Crops(8, reduce=4).read(record).shape == (10, 15, 3)
    assert Crops(8).centre(record, 28, 32).shape == (28, 28, 3)
    with pytest.raises(UserError, match="resized, random, whole"):
        Crops(8, "square")


def test_normalization_of_each_channel():
    images = np.array([0, 128, 255], np.uint8).reshape(1, 1, 1, 3)
    got = normalize(images, (0.5, 0.25, 0.0), (0.5, 1.0, 2.0))
    np.testing.assert_allclose(got.ravel(), [-1, 128 / 255 - 0.25, 0.5], rtol=1e-6)


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
