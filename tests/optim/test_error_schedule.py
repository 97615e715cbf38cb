"""The three rules: ramp, warm-up until the error falls, drops at steps and on plateaus."""

import jax.numpy as jnp
import numpy as np

from research.optim.error_schedule import ErrorSchedule


def rates(schedule, errors):
    state, found = schedule.init(), []
    for t, error in enumerate(errors):
        found.append(float(schedule.rate(state, jnp.int32(t))))
        state = schedule.update(state, jnp.int32(t), jnp.asarray(error))
    return np.array(found)


def test_ramp_and_steps():
    schedule = ErrorSchedule(0.1, 0.01, 4, 0.0, (6, 8), 0)
    expected = [0.01, 0.0325, 0.055, 0.0775, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose(rates(schedule, [50.0] * 10), expected, rtol=1e-5)


def test_warm_up_ends_when_the_error_has_fallen_and_does_not_come_back():
    schedule = ErrorSchedule(0.1, 0.01, 0, 80.0, (), 0)
    found = rates(schedule, [90.0] * 100 + [50.0] * 100 + [95.0] * 300)
    jump = int(np.argmax(found > 0.05))
    # 90 to 50 crosses 80 after 50 ln(4/3) = 14 steps of an average over 50.
    assert 110 < jump < 120
    np.testing.assert_allclose(found[:jump], 0.01, rtol=1e-5)
    np.testing.assert_allclose(found[jump:], 0.1, rtol=1e-5)


def test_plateaus():
    schedule = ErrorSchedule(0.1, 0.1, 0, 0.0, (), 10)
    falling, flat = np.linspace(60, 40, 30), [40.0] * 20
    found = rates(schedule, [*falling, *flat, 30.0])
    np.testing.assert_allclose(found[:40], 0.1, rtol=1e-5)  # the fourth window is the best yet
    np.testing.assert_allclose(found[40:50], 0.1, rtol=1e-5)
    np.testing.assert_allclose(found[50], 0.01, rtol=1e-5)


def test_plateaus_may_be_limited():
    """«Divided by 10 when the validation error stopped improving», three times (2012)."""
    schedule = ErrorSchedule(0.1, 0.1, 0, 0.0, (), 10, max_plateaus=3)
    found = rates(schedule, [40.0] * 100)
    np.testing.assert_allclose(
        found[[0, 19, 20, 30, 40, 99]], [0.1, 0.1, 0.01, 1e-3, 1e-4, 1e-4], rtol=1e-5
    )
