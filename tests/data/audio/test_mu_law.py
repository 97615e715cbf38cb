"""Mu-law against its formula and against its own bins."""

import numpy as np
import pytest

from research.data.audio import mu_law


def test_compression_is_the_formula():
    """f(x) = sign(x) ln(1 + 255 |x|) / ln 256 (section 2.2)."""
    for x in (-1.0, -0.3, 0.0, 0.01, 0.5, 1.0):
        expected = np.copysign(np.log(1 + 255 * abs(x)) / np.log(256), x)
        assert mu_law.compress(np.array(x)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bins", [2, 16, 64, 256])
def test_a_bin_decodes_to_its_middle(bins):
    """Of the compressed range: half a bin from both of its edges."""
    q = np.arange(bins)
    y = mu_law.compress(mu_law.decode(q, bins).astype(np.float64), bins)
    np.testing.assert_allclose(y, (2 * q + 1) / bins - 1, atol=1e-5)
    assert mu_law.encode(mu_law.decode(q, bins), bins).tolist() == q.tolist()
    np.testing.assert_allclose(mu_law.decode(q, bins), -mu_law.decode(q, bins)[::-1], atol=1e-6)


@pytest.mark.parametrize("bins", [16, 256])
def test_bins_are_those_of_their_edges(bins):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 1000) ** 3
    np.testing.assert_array_equal(
        mu_law.encode(x, bins), np.searchsorted(mu_law.edges(bins), x, side="right")
    )
    y = mu_law.compress(x, bins)
    decoded = mu_law.decode(mu_law.encode(x, bins), bins).astype(np.float64)
    assert np.abs(mu_law.compress(decoded, bins) - y).max() <= 1 / bins + 1e-5


def test_what_is_too_loud_is_clipped():
    assert mu_law.encode(np.array([-3.0, -1.0, 1.0, 3.0])).tolist() == [0, 0, 255, 255]
