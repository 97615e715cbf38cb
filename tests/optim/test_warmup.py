"""Warm-up with cosine or linear decay at their corners."""

import numpy as np
import pytest

from research.optim.schedules import warmup_cosine, warmup_linear


def test_corners():
    rate = warmup_cosine(2.0, 10, 110, 0.1)
    points = {0: 0.0, 5: 1.0, 10: 2.0, 60: 1.1, 110: 0.2, 500: 0.2}
    np.testing.assert_allclose([rate(x) for x in points], list(points.values()), rtol=1e-6)


def test_gpt1_falls_to_zero_and_needs_no_warmup():
    assert float(warmup_cosine(2.5e-4, 0, 100)(100)) == pytest.approx(0.0, abs=1e-10)
    assert float(warmup_cosine(2.5e-4, 0, 100)(0)) == pytest.approx(2.5e-4)


def test_large_counts_of_tokens():
    rate = warmup_cosine(0.6e-4, 375_000_000, 260_000_000_000, 0.1)
    assert float(rate(375e6)) == pytest.approx(0.6e-4, rel=1e-5)
    assert float(rate(300e9)) == pytest.approx(0.6e-5, rel=1e-5)


def test_linear_decay():
    rate = warmup_linear(2.0, 10, 110)
    points = {0: 0.2, 9: 2.0, 10: 2.0, 60: 1.0, 109: 0.02, 110: 0.0, 500: 0.0}
    np.testing.assert_allclose([rate(x) for x in points], list(points.values()), rtol=1e-5)
    assert float(warmup_linear(2.0, 0, 10)(0)) == 2.0
