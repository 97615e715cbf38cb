"""Pictures of clips show where things are."""

import io

import numpy as np
import pytest
from PIL import Image

from research.core import UserError
from research.papers.human_preferences.clip_films import SIZE, check_drawn, film_strip
from research.rl.envs import gymnax_env


def frames(name, observations):
    strip = np.asarray(Image.open(io.BytesIO(film_strip(name, np.asarray(observations)))))
    assert strip.shape == (SIZE, SIZE * len(observations), 3)
    return np.split(strip.astype(int), len(observations), axis=1)


def warm(frame):
    """Mean place (x right, y up, from the centre, in half frames) of what is drawn in colour."""
    y, x = np.nonzero(frame[..., 0] - frame[..., 2] > 80)
    return x.mean() / SIZE * 2 - 1, 1 - y.mean() / SIZE * 2


@pytest.mark.parametrize("name", ["Pendulum-v1", "Pendulum-hanging"])
def test_pendulum(name):
    up, down, right = map(warm, frames(name, [[1, 0, 0.0], [-1, 0, 0.0], [0, 1, 0.0]]))
    assert up[1] > 0.2 and down[1] < -0.2 and right[0] > 0.2 and abs(right[1]) < 0.05


def test_cart_pole():
    middle, aside, leaning = map(
        warm, frames("CartPole-v1", [[0, 0, 0, 0.0], [2, 0, 0, 0.0], [0, 0, 0.5, 0.0]])
    )
    assert aside[0] - middle[0] > 0.5 and leaning[0] > 0.1 > abs(middle[0])


def test_acrobot():
    hanging, upright = map(
        warm, frames("Acrobot-v1", [[1, 0, 1, 0, 0, 0.0], [-1, 0, 1, 0, 0, 0.0]])
    )
    assert hanging[1] < -0.4 and upright[1] > 0.4


def test_mountain_car():
    valley, hill = map(warm, frames("MountainCarContinuous-v0", [[-0.5, 0.0], [0.45, 0.0]]))
    assert hill[1] - valley[1] > 0.5 and hill[0] > valley[0]


def test_games_of_images():
    stack = np.zeros((2, 84, 84, 4), np.uint8)
    stack[0, :42, :, 3] = 200  # the newest frame, and not the others
    stack[1, :42, :, 0] = 200
    first, second = frames("pong", stack)
    assert first[: SIZE // 2].min() == 200 and first[SIZE // 2 + 1 :].max() == 0 == second.max()
    planes = np.zeros((1, 10, 10, 4), np.uint8)
    planes[0, 2, 3, 1] = 255
    (frame,) = frames("Breakout-MinAtar", planes)
    cell = SIZE / 10
    colour = frame[int(2.5 * cell), int(3.5 * cell)]
    assert (colour != frame[0, 0]).any() and (frame[0, 0] == frame[-1, -1]).all()


def test_what_nobody_drew_is_refused():
    check_drawn("pong", (84, 84, 4))
    for name in gymnax_env.CLASSIC_CONTROL:
        check_drawn(name, (3,))
    with pytest.raises(UserError, match="cannot be shown"):
        check_drawn("probe_continuous_both", (1,))
