"""Frames show where things are, and which bits are wrong."""

import numpy as np
import pytest

from research.papers.her.bit_flipping import BitFlipping
from research.papers.her.goal_frames import painter
from research.papers.her.point_mass import Push, Reach
from research.viz.game_frames import SIZE


def warm(frame):
    return frame[..., 0].astype(int) - frame[..., 2] > 80


def test_wrong_bits_are_warm():
    paint = painter(BitFlipping(4))
    right = paint(np.array([0, 1, 0, 1, 0, 1, 0, 1.0]))
    one, two = (paint(np.array([*x, 0, 1, 0, 1.0])) for x in ((1, 1, 0, 1), (1, 0, 0, 1)))
    assert not warm(right).any() and 0 < warm(one).sum() < warm(two).sum()


@pytest.mark.parametrize("task", [Reach(), Push()])
def test_the_gripper_is_where_it_is(task):
    size = task.observation_space.shape[0]
    left, right = np.zeros(size), np.zeros(size)
    left[0], right[0], right[1] = -0.2, 0.2, 0.2
    places = [np.argwhere(warm(painter(task)(x))).mean(axis=0) / SIZE for x in (left, right)]
    assert places[0][1] < 0.3 < 0.7 < places[1][1] and places[1][0] < 0.3 < places[0][0]


def test_what_nobody_drew():
    with pytest.raises(TypeError, match="nobody has drawn"):
        painter(object())
