"""The form of LPIPS against sums written out; its weights and its layer of scales."""

import jax.numpy as jnp
import numpy as np

from research.metrics import perceptual
from research.metrics.perceptual import PerceptualDistance


def maps(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(3, 4, 4, 5)), rng.normal(size=(3, 2, 2, 7))]


def test_distance_is_the_sum_written_out():
    x, y = maps(0), maps(1)
    weights = [np.arange(5.0), np.ones(7)]
    expected = np.zeros(3)
    for a, b, w in zip(x, y, weights, strict=True):
        for n in range(3):
            cells = []
            for i in np.ndindex(a.shape[1:3]):
                u, v = a[n][i], b[n][i]
                u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
                cells.append((w * (u - v) ** 2).sum())
            expected[n] += np.mean(cells)
    found = perceptual.tap_distance(*([jnp.asarray(m) for m in s] for s in (x, y)), weights)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_weights_below_zero_count_nothing():
    x, y = ([jnp.asarray(m) for m in maps(seed)] for seed in (0, 1))
    nothing = perceptual.tap_distance(x, y, [-np.ones(5), -np.ones(7)])
    np.testing.assert_allclose(nothing, 0)


def test_brightness_of_a_map_does_not_count():
    """Only directions do: maps are normalized along channels."""
    x = [jnp.asarray(m) for m in maps(0)]
    apart = perceptual.tap_distance(x, [3 * m for m in x], [np.ones(5), np.ones(7)])
    np.testing.assert_allclose(apart, 0, atol=1e-10)
    dark = perceptual.unit_normalized(jnp.zeros((1, 2, 2, 3)))
    assert np.isfinite(dark).all()


def test_scaling_layer_is_imagenets_normalization():
    """Of images in [0, 1] with the known means and deviations."""
    images = np.random.default_rng(0).uniform(size=(2, 3, 3, 3))
    expected = (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(perceptual.scaled(2 * images - 1), expected, atol=1e-5)


def test_distance_of_images_is_named_and_symmetric():
    def taps(scale, images):
        return [scale * images, images[:, ::2, ::2]]

    distance = PerceptualDistance("pLPIPS", "stub", 2.0, taps, batch_size=4)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(distance(x, y), distance(y, x), rtol=1e-6)
    np.testing.assert_allclose(distance(x, x), 0, atol=1e-10)
    assert (distance(x, y) > 0).all() and distance.kind == "pLPIPS"
    weighed = PerceptualDistance("pLPIPS", "stub", 2.0, taps, [np.ones(3), np.zeros(3)])
    assert weighed.weights_sha256 != distance.weights_sha256
    one = PerceptualDistance("pLPIPS", "stub", 2.0, lambda _, images: [images])
    np.testing.assert_allclose(weighed(x, y), one(x, y), rtol=1e-5)


def test_images_that_look_alike_have_no_diversity():
    distance = PerceptualDistance("pLPIPS", "stub", 1.0, lambda _, images: [images])
    images = np.random.default_rng(0).normal(size=(20, 4, 4, 3)).astype(np.float32)
    assert perceptual.diversity(images, distance) > 0.5
    assert perceptual.diversity(np.repeat(images[:1], 20, 0), distance) < 1e-9
