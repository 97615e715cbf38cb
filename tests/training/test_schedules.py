"""The Noam schedule: equation 3 of the paper, warm-up included."""

import numpy as np

from research.training.schedules import noam


def test_equation_3():
    schedule = noam(512, 4000)
    for step in (1, 10, 3999, 4000, 4001, 100_000):
        expected = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        np.testing.assert_allclose(schedule(step - 1), expected, rtol=1e-5)


def test_rises_linearly_to_its_peak_then_falls():
    rates = np.array([noam(64, 20, factor=2.0)(count) for count in range(100)])
    assert rates.argmax() == 19  # optax counts from 0
    np.testing.assert_allclose(np.diff(rates[:20]), rates[0], rtol=1e-4)
    assert np.all(np.diff(rates[19:]) < 0)
    np.testing.assert_allclose(rates[79], rates[19] / 2, rtol=1e-5)
    # Without warm-up the first step is as long as the peak, or longer; here it is 20 times shorter.
    np.testing.assert_allclose(rates[19] / rates[0], 20, rtol=1e-5)
