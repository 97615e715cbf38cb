"""Training examples and test views of every augmentation, opened and computed once."""

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.dataset import Dataset, Rows
from research.data.images import augment
from research.data.images.images import Images, ImageSplits, normalize
from research.data.procedural import shapes


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def images_of(images, labels=None, **options):
    labels = np.arange(len(images)) if labels is None else labels
    dataset = Dataset(Rows({"image": np.stack(images), "label": labels}), "test images")
    settings = {
        "size": 8,
        "augmentation": "mirror",
        "statistics_images": 100,
    }
    return Images(lambda split: dataset, **{**settings, **options})


def test_training_images_have_zero_mean_and_are_repeatable():
    source = images_of([noise(8, 8, s) for s in range(6)], augmentation="pad_crop")
    plain = np.stack([source.plain(record) for record in source.train])
    np.testing.assert_allclose(plain.mean(0), 0, atol=1e-6)
    again = [source.augmented(source.train[1], np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(again[0]["image"], again[1]["image"])
    assert again[0]["image"].dtype == np.float32 and again[0]["label"] == 1


def test_colours_need_images_to_come_from():
    with pytest.raises(UserError, match="data.statistics_images above 0"):
        images_of([noise(8, 8)], augmentation="scale_crop", statistics_images=0)


def test_reduced_images_stream_in_batches():
    source = images_of([noise(16, 16, s) for s in range(6)], reduce=2)
    assert source.mean.shape == (8, 8, 3)
    stream = source.stream(4, seed=0)
    stream.open()
    assert stream(None)["image"].shape == (4, 8, 8, 3)


def test_test_views():
    images = [noise(300, 260)]
    ten = images_of(
        images,
        size=224,
        augmentation="scale_crop",
        short_sides=(256,),
        crops="ten",
        statistics_images=1,
    )
    (views,) = ten.views(ten.train[0])
    assert views.shape == (10, 224, 224, 3)
    assert ten.images_in(32) == 3 and ten.images_in(4) == 1
    several = images_of(images, size=32, short_sides=(32, 48), statistics_images=1)
    shapes_of = [v.shape for v in several.views(several.train[0])]
    assert shapes_of == [(2, 32, 32, 3), (2, 48, 48, 3)]
    assert several.images_in(9) == 4
    example = ten.augmented(ten.train[0], np.random.default_rng(0))
    assert example["image"].shape == (224, 224, 3)


def test_rows_of_the_test_set_are_its_views_and_labels():
    source = images_of([noise(8, 8, s) for s in range(3)], labels=np.array([4, 0, 2]))
    rows = source.test_rows
    assert len(rows) == 3 and [row["label"] for row in rows] == [4, 0, 2]
    for row, record in zip(rows, source.test, strict=True):
        np.testing.assert_array_equal(row["views"][0], source.views(record)[0])
        assert row["views"][0].shape == (1, 8, 8, 3)
    assert source.images_in(5) == 5


def test_splits_are_opened_and_statistics_computed_once(monkeypatch):
    drawn, means = [], []
    load, mean = shapes.load, augment.per_pixel_mean
    monkeypatch.setattr(shapes, "load", lambda *args: drawn.append(args) or load(*args))
    monkeypatch.setattr(augment, "per_pixel_mean", lambda *args: means.append(1) or mean(*args))
    source = Images(
        ImageSplits("proc_shapes", 8),
        8,
        augmentation="pad_crop",
        train_split="train[:32]",
        test_split="test[:8]",
        statistics_images=32,
    )
    assert not drawn and not means  # nothing before it is used
    for _ in range(2):
        source.stream(4, seed=0)(None)
        source.plain_stream("test[:8]", 4, seed=0)(None)
        len(source.test_rows), next(source.train_batches(1, 4))
    assert sorted(split for split, _ in drawn) == ["test[:8]", "train[:32]"]
    assert len(means) == 1


def test_a_training_set_of_another_size_than_the_configuration_says():
    source = images_of([noise(8, 8, s) for s in range(6)], num_train=7)
    with pytest.raises(UserError, match="num_train is 7.*num_train=6"):
        source.stream(2, seed=0).open()
    images_of([noise(8, 8, s) for s in range(6)], num_train=6).stream(2, seed=0).open()


def test_square_crops_come_from_the_middle_square():
    """256 for 224, here 8 for 7: the sides of a wide image are never seen, all of the rest is."""
    image = np.zeros((8, 24, 3), np.uint8)
    image[:, 8:16] = 200
    source = images_of(
        [image, noise(8, 24)], size=7, augmentation="square_crop", short_sides=(8,), crops="ten"
    )
    (views,) = source.views(source.train[0])
    np.testing.assert_allclose(
        views[0], (np.full((7, 7, 3), 200) - source.mean[:7, :7]) / 127.5, rtol=1e-5
    )
    assert source.mean.shape == (8, 8, 3) and views.shape == (10, 7, 7, 3)
    crops = [
        source.augmented(source.train[0], np.random.default_rng(s))["image"] for s in range(20)
    ]
    places = [(y, x, way) for y in (0, 1) for x in (0, 1) for way in (1, -1)]
    found = set()
    for crop in crops:  # one colour less its place's mean, shifted by a vector of the colours' own
        assert crop.shape == (7, 7, 3)
        shifts = [
            np.ptp(crop * 127.5 + source.mean[y : y + 7, x : x + 7][:, ::way], axis=(0, 1))
            for y, x, way in places
        ]
        fits = [place for place, shift in zip(places, shifts, strict=True) if shift.max() < 1e-3]
        assert len(fits) == 1
        found.add(fits[0])
    assert len(found) >= 6 and len({float(crop[0, 0, 0]) for crop in crops}) == 20


def test_grey_images_get_a_channel_and_may_stay_as_they_are():
    grey = [noise(8, 8, s)[..., 0] for s in range(2)]
    source = images_of(grey, channels=1, augmentation="none")
    example = source.augmented(source.train[0], np.random.default_rng(0))["image"]
    np.testing.assert_array_equal(example, source.plain(source.train[0]))
    assert example.shape == (8, 8, 1)


@pytest.mark.parametrize("options", [{"augmentation": "cutout"}, {"crops": "five"}])
def test_unknown_choices_are_errors(options):
    with pytest.raises(UserError, match="not"):
        images_of([noise(8, 8)], **options)


def uint8_images(size, crop, **options):
    return Images(lambda split: [], size, augmentation=crop, **options)


@pytest.mark.parametrize("crop", ["resized", "random", "whole", "square"])
def test_training_crops_of_any_image(crop):
    rng = np.random.default_rng(0)
    record = {"image": rng.integers(0, 256, (20, 31), dtype=np.uint8), "label": np.int64(3)}
    example = uint8_images(16, crop).augmented(record, rng)
    assert example["image"].shape == (16, 16, 3) and example["image"].dtype == np.uint8
    assert example["label"] == 3 and example["label"].dtype == np.int32
    same = uint8_images(20, "random").augmented(record, np.random.default_rng(1))["image"]
    assert any(np.array_equal(same[..., 0], record["image"][:, x : x + 20]) for x in range(12))


def test_smaller_copies_and_averages():
    record = {"image": np.zeros((40, 60, 3), np.uint8), "label": 0}
    assert uint8_images(8, "whole", stored_side=20).read_stored(record).shape == (20, 30, 3)
    assert uint8_images(8, "whole", reduce=4).read(record).shape == (10, 15, 3)
    (view,) = uint8_images(8, "whole", test_size=28, short_sides=(32,)).views(record)
    assert view.shape == (1, 28, 28, 3) and view.dtype == np.uint8


def test_normalization_of_each_channel():
    images = np.array([0, 128, 255], np.uint8).reshape(1, 1, 1, 3)
    got = normalize(images, (0.5, 0.25, 0.0), (0.5, 1.0, 2.0))
    np.testing.assert_allclose(got.ravel(), [-1, 128 / 255 - 0.25, 0.5], rtol=1e-6)


@pytest.mark.parametrize("name", ["scale_crop", "square_crop"])
def test_coloured_crops_are_what_the_papers_say(name):
    """Crop, mirror, then one draw along the principal components of the colours of all images."""
    images = [noise(20, 20, s) for s in range(4)]
    sides = (9,) if name == "square_crop" else ()
    source = images_of(images, augmentation=name, short_sides=sides)
    axes, deviations = source.colours.axes, source.colours.deviations
    for seed in range(4):
        record, rng = source.train[seed], np.random.default_rng(seed)
        if name == "scale_crop":
            image = augment.mirror(augment.scale_and_crop(record["image"], rng, 8), rng)
            image = image - source.mean
        else:
            middle = augment.centre_crop(augment.resize_short_side(record["image"], 9), 9)
            image = augment.mirror(augment.crop(middle - source.mean, rng, 8), rng)
        shift = axes @ (rng.normal(0, 0.1, 3) * deviations)
        found = source.augmented(record, np.random.default_rng(seed))["image"]
        np.testing.assert_allclose(found, (image + shift) / 127.5, atol=1e-5)
