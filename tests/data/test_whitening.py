import numpy as np

from research.data.images.whitening import Whitening

RNG = np.random.default_rng(0)
IMAGES = (RNG.normal(size=(500, 6)) @ RNG.normal(size=(6, 6)) + 3).reshape(500, 2, 3, 1)


def test_pixels_have_no_correlation_and_unit_variance():
    white = Whitening.fit(IMAGES, 0.0)(IMAGES)
    assert white.shape == IMAGES.shape and white.dtype == np.float32
    flat = white.reshape(500, -1)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(flat.T @ flat / 500, np.eye(6), atol=2e-3)


def test_the_matrix_is_symmetric_and_that_of_the_regularized_covariance():
    fitted = Whitening.fit(IMAGES, 0.5)
    np.testing.assert_allclose(fitted.matrix, fitted.matrix.T, atol=1e-5)
    covariance = np.cov(IMAGES.reshape(500, -1).T, bias=True)
    inverse = np.linalg.inv(fitted.matrix.astype(float))
    np.testing.assert_allclose(inverse @ inverse, covariance + 0.5 * np.eye(6), rtol=1e-3)


def test_constant_pixels_are_not_blown_up():
    images = np.ones((10, 2, 2, 1))
    assert not Whitening.fit(images, 0.1)(images).any()


def test_a_run_keeps_it():
    fitted = Whitening.fit(IMAGES, 0.1)
    kept = Whitening.from_files(fitted.to_files())
    np.testing.assert_array_equal(kept(IMAGES), fitted(IMAGES))
