"""When the generator moves, in closed form against the loop of the released code."""

import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.wgan.schedule import CriticSchedule


@pytest.mark.parametrize(
    "schedule",
    [
        CriticSchedule(),
        CriticSchedule(usual=2, many=5, first=2, every=4),
        CriticSchedule(usual=3, many=7, first=8, every=4),
        CriticSchedule(usual=1, many=1, first=0, every=10),
    ],
)
def test_closed_form_is_the_released_loop(schedule):
    moves, generator_steps = [], 0
    while len(moves) < 8000:
        waits = generator_steps < schedule.first or generator_steps % schedule.every == 0
        updates = schedule.many if waits else schedule.usual
        moves += [False] * (updates - 1) + [True]
        generator_steps += 1
    found = np.asarray(schedule.generator_moves(jnp.arange(len(moves))))
    np.testing.assert_array_equal(found, moves)
    assert schedule.total(generator_steps) == len(moves)


def test_the_papers_schedule():
    schedule = CriticSchedule()
    assert [schedule.critic_updates(g) for g in (0, 24, 25, 499, 500, 501, 1000)] == [
        100,
        100,
        5,
        5,
        100,
        5,
        100,
    ]
