"""Augmentations against their definition; shapes that are what their ground truth says."""

import numpy as np
import pytest

from research import data
from research.core.errors import UserError
from research.data.dataset import Dataset, Rows
from research.data.images import augment
from research.data.images.photographs import Photographs
from research.data.procedural import shapes


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_pad_and_crop_reaches_every_place_and_no_other():
    image = noise(6, 6).astype(np.float32) + 1
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    places = {padded[y : y + 6, x : x + 6].tobytes(): (y, x) for y in range(9) for x in range(9)}
    rng = np.random.default_rng(1)
    seen = {places[augment.pad_and_crop(image, rng).tobytes()] for _ in range(1500)}
    assert len(seen) == 81


def test_mirror_is_half_of_the_time():
    image, rng = noise(4, 5), np.random.default_rng(0)
    mirrored = 0
    for _ in range(400):
        out = augment.mirror(image, rng)
        assert np.array_equal(out, image) or np.array_equal(out, image[:, ::-1])
        mirrored += np.array_equal(out, image[:, ::-1])
    assert 160 < mirrored < 240


def test_scale_jitter_covers_the_sides():
    """A gradient from left to right tells how much of the image a crop shows."""
    gradient = np.broadcast_to(np.linspace(0, 255, 400)[None, :, None], (300, 400, 3))
    rng, shown = np.random.default_rng(0), []
    for _ in range(200):
        crop = augment.scale_and_crop(gradient.astype(np.uint8), rng)
        assert crop.shape == (224, 224, 3) and crop.dtype == np.uint8
        shown.append((int(crop[0, -1, 0]) - int(crop[0, 0, 0])) / 255)
    widths = 224 / np.array(shown) * 300 / 400  # of the resized image, in its shorter side
    assert 250 < widths.min() < 262 and 465 < widths.max() < 490
    assert 350 < np.mean(widths) < 386  # uniform in the side


def test_ten_crops_are_corners_middle_and_mirrors():
    image = noise(7, 9)
    crops = augment.ten_crops(image, 5)
    assert crops.shape == (10, 5, 5, 3)
    for crop, (y, x) in zip(crops[:5], [(0, 0), (0, 4), (2, 0), (2, 4), (1, 2)], strict=True):
        np.testing.assert_array_equal(crop, image[y : y + 5, x : x + 5])
    np.testing.assert_array_equal(crops[5:], crops[:5, :, ::-1])


def test_colour_axes_are_the_principal_components():
    rng = np.random.default_rng(0)
    mixing = np.array([[10.0, 3, 0], [8, -2, 1], [9, 0, -2]])
    images = [100 + rng.normal(size=(20, 30, 3)) @ mixing.T for _ in range(4)]
    found = augment.colour_axes(images)
    covariance = np.cov(np.concatenate([i.reshape(-1, 3) for i in images]).T, bias=True)
    np.testing.assert_allclose(
        found.axes @ np.diag(found.deviations**2) @ found.axes.T, covariance, rtol=1e-6, atol=1e-6
    )
    black = np.zeros((2, 2, 3), np.uint8)
    shifts = np.array([augment.jitter_colour(black, rng, found)[0, 0] for _ in range(4000)])
    np.testing.assert_allclose(np.cov(shifts.T), 0.01 * covariance, rtol=0.15, atol=0.05)
    out = augment.jitter_colour(black, rng, found)
    np.testing.assert_array_equal(out, np.broadcast_to(out[0, 0], out.shape))  # one for the image


def test_per_pixel_mean_and_average_pool():
    images = [noise(4, 6, seed) for seed in range(5)]
    np.testing.assert_allclose(augment.per_pixel_mean(iter(images)), np.mean(images, 0), rtol=1e-6)
    pooled = augment.average_pool(images[0], 2)
    assert pooled.shape == (2, 3, 3)
    assert abs(pooled[1, 2, 0] - images[0][2:, 4:, 0].mean()) <= 0.5


def photographs(images, labels=None, **options):
    labels = np.arange(len(images)) if labels is None else labels
    dataset = Dataset(Rows({"image": np.stack(images), "label": labels}), "test images")
    settings = {
        "train_split": "train",
        "size": 8,
        "augmentation": "mirror",
        "reduce": 1,
        "statistics_images": 100,
        "short_sides": (),
        "crops": "one",
    }
    return Photographs(lambda split: dataset, **{**settings, **options})


def test_training_images_have_zero_mean_and_are_repeatable():
    source = photographs([noise(8, 8, s) for s in range(6)], augmentation="pad_crop")
    plain = np.stack([source.plain(record) for record in source.train])
    np.testing.assert_allclose(plain.mean(0), 0, atol=1e-6)
    again = [source.augmented(source.train[1], np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(again[0]["image"], again[1]["image"])
    assert again[0]["image"].dtype == np.float32 and again[0]["label"] == 1


def test_reduced_images_stream_in_batches():
    source = photographs([noise(16, 16, s) for s in range(6)], reduce=2)
    assert source.mean.shape == (8, 8, 3)
    import jax

    spec = {
        "image": jax.ShapeDtypeStruct((8, 8, 3), np.float32),
        "label": jax.ShapeDtypeStruct((), np.int32),
    }
    stream = data.pipeline.stream(source.open_train, spec, 4, 0, source.augmented)
    stream.open()
    assert stream(None)["image"].shape == (4, 8, 8, 3)


def test_test_views():
    images = [noise(300, 260)]
    ten = photographs(
        images,
        size=224,
        augmentation="scale_crop",
        short_sides=(256,),
        crops="ten",
        statistics_images=1,
    )
    (views,) = ten.views(ten.train[0])
    assert views.shape == (10, 224, 224, 3)
    several = photographs(images, size=32, short_sides=(32, 48), statistics_images=1)
    shapes_of = [v.shape for v in several.views(several.train[0])]
    assert shapes_of == [(2, 32, 32, 3), (2, 48, 48, 3)]
    example = ten.augmented(ten.train[0], np.random.default_rng(0))
    assert example["image"].shape == (224, 224, 3)


def test_square_crops_come_from_the_middle_square():
    """256 for 224, here 8 for 7: the sides of a wide image are never seen, all of the rest is."""
    image = np.zeros((8, 24, 3), np.uint8)
    image[:, 8:16] = 200
    source = photographs(
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
    source = photographs(grey, augmentation="none")
    example = source.augmented(source.train[0], np.random.default_rng(0))["image"]
    np.testing.assert_array_equal(example, source.plain(source.train[0]))
    assert example.shape == (8, 8, 1)


@pytest.mark.parametrize("options", [{"augmentation": "cutout"}, {"crops": "five"}])
def test_unknown_choices_are_errors(options):
    with pytest.raises(UserError, match="not"):
        photographs([noise(8, 8)], **options)


def test_shapes_are_seeded_balanced_and_what_they_say():
    made, again = shapes.generate(700, 5), shapes.generate(700, 5)
    for name, value in made.items():
        np.testing.assert_array_equal(value, again[name])
    assert np.ptp(np.bincount(made["label"])) <= 2
    assert not np.array_equal(made["image"], shapes.generate(700, 6)["image"])

    # The mask's centre of mass of a disc is the stated centre; its area the stated radius'.
    big = shapes.generate(300, 7, size=64)
    axis = np.arange(64) - 31.5
    for i in np.flatnonzero(big["label"] == shapes.CLASSES.index("disc")):
        mask = big["mask"][i] / 255
        centre = (mask.sum(0) @ axis / mask.sum(), mask.sum(1) @ axis / mask.sum())
        np.testing.assert_allclose(centre, big["centre"][i], atol=0.3)
        np.testing.assert_allclose(mask.sum(), np.pi * (0.9 * big["radius"][i]) ** 2, rtol=0.03)


def test_colour_and_texture_do_not_give_the_class_away():
    made = shapes.generate(2000, 0)
    means = made["image"].reshape(2000, -1, 3).mean(1)
    by_class = np.stack([means[made["label"] == c].mean(0) for c in range(10)])
    assert np.ptp(by_class, axis=0).max() < 3.5 * means.std(0).max() / np.sqrt(200) * 2


def test_shapes_have_two_splits():
    assert len(shapes.load("train[:100]")) == 100
    assert shapes.load("test")[0]["image"].shape == (16, 16, 3)
    with pytest.raises(UserError, match="train, test"):
        shapes.load("validation")
