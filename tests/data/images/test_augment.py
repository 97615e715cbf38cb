"""Augmentations against their definition; shapes that are what their ground truth says."""

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.images import augment
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
