"""The Noam schedule: equation 3 of the paper, warm-up included."""

import numpy as np
import pytest

from research.core.errors import UserError
from research.optim.schedules import halving, noam, stepped, warmup_and_drops


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


def test_large_minibatch_schedule():
    """Batch 8,192 of 1,281,167 images (Goyal et al., 2017): 156 steps an epoch."""
    schedule = warmup_and_drops(3.2, 0.1, "gradual", 5 * 156, (30 * 156, 60 * 156, 80 * 156))
    steps = [0, 1, 779, 780, 30 * 156 - 1, 30 * 156, 60 * 156, 80 * 156, 90 * 156]
    by_step = 3.1 / 780  # added at every step
    expected = [0.1, 0.1 + by_step, 3.2 - by_step, 3.2, 3.2, 0.32, 0.032, 0.0032, 0.0032]
    np.testing.assert_allclose([schedule(t) for t in steps], expected, rtol=1e-4)


def test_other_warmups():
    constant = warmup_and_drops(3.2, 0.1, "constant", 10, (20,))
    np.testing.assert_allclose(
        [constant(t) for t in (0, 9, 10, 20)], [0.1, 0.1, 3.2, 0.32], rtol=1e-5
    )
    none = warmup_and_drops(3.2, 0.1, "none", 10, (20,))
    np.testing.assert_allclose([none(t) for t in (0, 19, 20)], [3.2, 3.2, 0.32], rtol=1e-5)
    with pytest.raises(UserError, match="gradual, constant or none"):
        warmup_and_drops(3.2, 0.1, "cosine", 10, ())


def test_halving_begins_late_and_goes_on():
    """Sutskever et al., 2014: after five epochs of ten steps, halved each half epoch."""
    schedule = halving(0.7, 50, 5)
    found = [float(schedule(t)) for t in (0, 49, 50, 54, 55, 74)]
    assert found == pytest.approx([0.7, 0.7, 0.35, 0.35, 0.175, 0.7 / 32])


def test_stepped_rates_hold_from_a_share_of_the_run_on():
    schedule = stepped(((0.0, 0.1), (0.5, 0.01), (0.9, 0.001)), num_updates=100, warmup_updates=3)
    rates = [float(schedule(count)) for count in (0, 1, 3, 49, 50, 89, 90, 99)]
    expected = [0.025, 0.05, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
