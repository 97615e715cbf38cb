"""Resizing as TensorFlow 1 does it, against loops; not as anything else does it."""

import jax
import numpy as np

from research.nn.legacy_bilinear import resize


def by_loops(image, height, width):
    """`tf.image.resize_bilinear(align_corners=False)` of TF 1, written out."""
    rows, columns = image.shape[:2]
    out = np.zeros((height, width, *image.shape[2:]))
    for i in range(height):
        for j in range(width):
            y, x = i * rows / height, j * columns / width
            top, left = int(y), int(x)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            dy, dx = y - top, x - left
            upper = image[top, left] * (1 - dx) + image[top, right] * dx
            lower = image[bottom, left] * (1 - dx) + image[bottom, right] * dx
            out[i, j] = upper * (1 - dy) + lower * dy
    return out


def test_equals_the_loops_larger_and_smaller():
    images = np.random.default_rng(0).uniform(0, 255, (2, 7, 5, 3)).astype(np.float32)
    for size in ((13, 11), (3, 4), (7, 5), (7, 10)):
        expected = np.stack([by_loops(image, *size) for image in images])
        np.testing.assert_allclose(resize(images, *size), expected, rtol=1e-4, atol=1e-3)


def test_pixels_are_not_matched_at_their_centres_and_shrinking_leaves_some_out():
    ramp = np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1)
    np.testing.assert_allclose(resize(ramp, 1, 4)[0, 0, :, 0], [0, 2, 4, 6])
    other = jax.image.resize(ramp, (1, 1, 4, 1), "bilinear")[0, 0, :, 0]
    assert abs(np.asarray(other) - [0, 2, 4, 6]).max() > 0.4
    np.testing.assert_allclose(resize(ramp, 1, 16)[0, 0, -2:, 0], [7, 7])
