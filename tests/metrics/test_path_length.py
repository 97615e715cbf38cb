"""Path lengths of generators whose derivative is known; trimming; the crop."""

import jax
import jax.numpy as jnp
import numpy as np

from research.metrics import path_length


def squared(x, y):
    return ((x.astype(np.float64) - y) ** 2).reshape(len(x), -1).sum(1)


def ends(num=200, dim=6):
    keys = jax.random.split(jax.random.key(0))
    return tuple(jax.random.normal(key, (num, dim)) for key in keys)


def linear(w, key):
    """Its derivative along a line from a to b is 3 (b - a)."""
    return np.asarray(3 * w, np.float64).reshape(len(w), 1, -1, 1)


def test_straight_paths_of_a_linear_generator():
    a, b = ends()
    found = path_length.perceptual_path_length(
        linear, squared, (a, b), jax.random.key(1), space="w", epsilon=1e-2
    )
    lengths = 9 * ((np.asarray(b) - np.asarray(a)) ** 2).sum(1)
    np.testing.assert_allclose(found, path_length.trimmed_mean(lengths), rtol=1e-2)


def test_arcs_between_latents_of_length_one_have_the_angle_as_their_speed():
    a, b = (v / jnp.linalg.norm(v, axis=1, keepdims=True) for v in ends())
    angle = np.arccos((np.asarray(a) * np.asarray(b)).sum(1))
    for sampling in ("full", "end"):
        found = path_length.perceptual_path_length(
            linear, squared, (a, b), jax.random.key(1), space="z", sampling=sampling, epsilon=1e-2
        )
        np.testing.assert_allclose(found, path_length.trimmed_mean(9 * angle**2), rtol=1e-2)


def test_end_is_at_the_beginning_of_the_path_and_full_all_along_it():
    seen = []

    def draw(w, key):
        seen.append(np.asarray(w))
        return linear(w, key)

    a, b = jnp.zeros((500, 1)), jnp.ones((500, 1))
    for sampling in ("end", "full"):
        path_length.perceptual_path_length(
            draw, squared, (a, b), jax.random.key(1), space="w", sampling=sampling, batch_size=500
        )
    at_end, after_end, full, after_full = seen
    np.testing.assert_array_equal(at_end, 0)
    np.testing.assert_allclose(after_end, 1e-4, rtol=1e-4)
    assert full.min() < 0.05 and full.max() > 0.95
    np.testing.assert_allclose(after_full - full, 1e-4, rtol=1e-2)


def test_both_ends_of_a_step_have_the_same_noise():
    def noisy(w, key):
        return linear(w, key) + np.asarray(jax.random.normal(key, (1, 1, 1, 1)))

    a, b = ends(30)
    options = {"space": "w", "epsilon": 1e-2, "batch_size": 10}
    quiet, loud = (
        path_length.perceptual_path_length(draw, squared, (a, b), jax.random.key(1), **options)
        for draw in (linear, noisy)
    )
    np.testing.assert_allclose(loud, quiet, rtol=1e-3)


def test_outliers_are_left_out():
    values = np.arange(1000.0)
    values[-1] = 1e9
    kept = values[(values >= 9) & (values <= 990)]
    np.testing.assert_allclose(path_length.trimmed_mean(values), kept.mean())


def test_faces_are_cropped_and_large_images_averaged_down():
    images = np.arange(16 * 16.0).reshape(1, 16, 16, 1)
    crop = path_length.face_crop(images)
    np.testing.assert_array_equal(crop, images[:, 6:14, 4:12])
    small = path_length.averaged_down(images, largest=4)
    assert small.shape == (1, 4, 4, 1)
    np.testing.assert_allclose(small[0, 0, 0, 0], images[0, :4, :4, 0].mean())
    assert path_length.averaged_down(images, largest=16) is images
