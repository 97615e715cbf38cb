"""Global contrast normalization."""

import numpy as np

from research.data.images.contrast import global_contrast_normalize


def test_every_image_has_mean_zero_and_one_length():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    pixels[3] = 7.0  # one grey
    found = np.asarray(global_contrast_normalize(pixels, 55.0))
    flat = pixels[:3].reshape(3, -1).astype(np.float64)
    centred = flat - flat.mean(1, keepdims=True)
    expected = 55 * centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(found[:3].reshape(3, -1), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found[3], 0.0)
    np.testing.assert_allclose(found[:3].std(axis=(1, 2, 3)), 0.99, atol=0.01)
