import numpy as np
import pytest

from research.nn.local_response_norm import local_response_norm


def by_loop(a, n, k, alpha, beta):
    """Section 3.3, word for word."""
    b, channels = np.zeros_like(a), a.shape[-1]
    for index in np.ndindex(a.shape):
        *place, i = index
        low, high = max(0, i - n // 2), min(channels - 1, i + n // 2)
        total = sum(a[(*place, j)] ** 2 for j in range(low, high + 1))
        b[index] = a[index] / (k + alpha * total) ** beta
    return b


@pytest.mark.parametrize(("size", "channels"), [(5, 8), (5, 3), (3, 8)])
def test_is_the_formula(size, channels):
    a = 30 * np.random.default_rng(0).normal(size=(2, 3, 2, channels))
    expected = by_loop(a, size, 2.0, 1e-4, 0.75)
    got = local_response_norm(a.astype(np.float32), size)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_the_other_reading_divides_alpha():
    a = 30 * np.random.default_rng(1).normal(size=(1, 8)).astype(np.float32)
    divided = local_response_norm(a, 5, 1.0, 1e-4, 0.75, divide_alpha=True)
    np.testing.assert_allclose(divided, by_loop(a, 5, 1.0, 1e-4 / 5, 0.75), rtol=1e-5)
    assert abs(divided - local_response_norm(a, 5, 1.0)).max() > 1e-3


def test_towers_do_not_see_each_other():
    a = 30 * np.random.default_rng(2).normal(size=(2, 3, 3, 8)).astype(np.float32)
    got = local_response_norm(a, 5, groups=2)
    halves = [by_loop(half, 5, 2.0, 1e-4, 0.75) for half in np.split(a, 2, axis=-1)]
    np.testing.assert_allclose(got, np.concatenate(halves, -1), rtol=1e-5, atol=1e-6)
    assert abs(got - local_response_norm(a, 5)).max() > 1e-3
