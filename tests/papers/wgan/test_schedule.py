"""When the generator moves, against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.wgan.schedule import CriticSchedule


def plain(few, many, first, every, updates):
    """Numbers of the critic's updates that one of the generator follows."""
    t, found = 0, []
    for i in range(updates):
        t += many if i < first or (every and i % every == 0) else few
        found.append(t - 1)
    return found


@pytest.mark.parametrize(
    "schedule",
    [
        (5, 100, 25, 500),  # as released
        (5, 20, 3, 7),
        (2, 9, 0, 4),
        (3, 1, 2, 5),
        (1, 1, 0, 0),
        (5, 10, 4, 0),
        (5, 10, 4, 4),
    ],
)
def test_the_generator_moves_when_a_loop_says_so(schedule):
    expected = plain(*schedule, 1100)
    schedule = CriticSchedule(*schedule)
    moves = jax.vmap(schedule.moves)(jnp.arange(expected[-1] + 1))
    assert np.flatnonzero(moves).tolist() == expected
    for updates in (0, 1, 2, 3, 4, 24, 25, 26, 499, 500, 501, 1000, 1001):
        assert schedule.critic_updates(updates) == (expected[updates - 1] + 1 if updates else 0)


def test_what_no_schedule_can_be():
    with pytest.raises(ValueError, match="follows one of the critic"):
        CriticSchedule(few=0)
    with pytest.raises(ValueError, match="end before"):
        CriticSchedule(first=25, every=10)
