"""Latent vectors against sums written out."""

import jax
import numpy as np

from research.metrics import latents


def test_arithmetic_averages_each_concept():
    a, b, c = np.random.default_rng(0).normal(size=(3, 3, 5)).astype(np.float32)
    np.testing.assert_allclose(
        latents.arithmetic([(1, a), (-1, b), (1, c)]),
        a.mean(0) - b.mean(0) + c.mean(0),
        rtol=1e-5,
        atol=1e-6,
    )


def test_three_terms_of_three_exemplars_look_like_one_uniform_z():
    z = np.random.default_rng(0).uniform(-1, 1, (3, 5000, 3, 4)).astype(np.float32)
    result = latents.arithmetic([(1, z[0]), (-1, z[1]), (1, z[2])])
    assert result.shape == (5000, 4)
    np.testing.assert_allclose(np.var(result), 1 / 3, rtol=0.05)
    single = z[0, :, 0] - z[1, :, 0] + z[2, :, 0]  # without averaging: three times the variance
    np.testing.assert_allclose(np.var(single), 1, rtol=0.05)


def test_neighbours_stay_within_the_radius():
    z = np.zeros((2, 4), np.float32)
    near = np.asarray(latents.around(jax.random.key(0), z, 500, 0.25))
    assert near.shape == (2, 500, 4)
    assert 0.24 < near.max() <= 0.25 and -0.25 <= near.min() < -0.24


def test_turn_is_the_difference_of_means_and_spans_one_length():
    left, right = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    turn = latents.turn_vector(left, right)
    np.testing.assert_allclose(turn, left.mean(0) - right.mean(0), rtol=1e-5, atol=1e-6)
    moved = latents.along(left[:2], turn, 5)
    np.testing.assert_allclose(moved[:, 2], left[:2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moved[:, -1] - moved[:, 0], np.stack([turn] * 2), atol=1e-5)


def test_walk_is_straight_and_ends_where_it_should():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    path = np.asarray(latents.walk(a, b))
    assert path.shape == (3, 10, 4)
    np.testing.assert_allclose(path[:, 0], a, atol=1e-6)
    np.testing.assert_allclose(path[:, -1], b, atol=1e-6)
    np.testing.assert_allclose(np.diff(path, 2, axis=1), 0, atol=1e-5)


def test_arc_has_the_length_of_its_ends_and_even_speed():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 5)).astype(np.float32)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    points = [np.asarray(latents.slerp(a, b, np.float32(t))) for t in np.linspace(0, 1, 5)]
    np.testing.assert_allclose(points[0], a, atol=1e-6)
    np.testing.assert_allclose(points[-1], b, atol=1e-6)
    np.testing.assert_allclose([np.linalg.norm(p, axis=1) for p in points], 1, atol=1e-5)
    steps = [np.linalg.norm(q - p, axis=1) for p, q in zip(points, points[1:], strict=False)]
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], (4, 7)), rtol=1e-4)


def test_arc_is_that_of_the_released_code_for_latents_of_length_one():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 6, 8))
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    t = rng.uniform(size=(6, 1))
    d = (a * b).sum(1, keepdims=True)
    c = b - d * a
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    expected = a * np.cos(t * np.arccos(d)) + c * np.sin(t * np.arccos(d))
    np.testing.assert_allclose(latents.slerp(*map(np.float32, (a, b, t))), expected, atol=1e-5)


def test_arc_between_equal_latents_is_a_point_and_a_line_is_straight():
    a = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(latents.slerp(a, a, 0.3), a, atol=1e-6)
    np.testing.assert_allclose(latents.lerp(a, 3 * a, 0.25), 1.5 * a)
