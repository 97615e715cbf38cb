"""Episodes of a trained agent as films, whatever it plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from research.rl.acting.recurrent_rollouts import RecurrentEnvironment
from research.rl.envs.ale import Atari, HostAtari
from research.rl.envs.environments import StackFrames, Vectorized
from research.rl.envs.gymnax_env import ClassicControl, MinAtar
from research.rl.envs.pixel_maze import PixelMaze
from research.viz.game_frames import (
    DRAWN,
    draw_control,
    draw_numbers,
    draw_planes,
    draw_screen,
)

Paint = Callable[[Any], np.ndarray]


class Painter(NamedTuple):
    """How what is observed of one environment becomes a frame.

    Attributes:
      paint: an observation without a leading axis to uint8 `[H, W, 3]`.
      fps: steps in a second of film.
    """

    paint: Paint
    fps: int


def painter(env: Any) -> Painter:
    """The painter of an environment of `research.rl.envs`: of its newest frame, where it stacks.

    Args:
      env: N copies, or one of them.
    """
    match env:
        case StackFrames():
            newest = env.env.observation_space.shape[-1]
            inner = painter(env.env)
            return Painter(lambda x: inner.paint(x[..., -newest:]), inner.fps)
        case RecurrentEnvironment():
            inner = painter(env.env)
            return Painter(lambda x: inner.paint(x.observation), inner.fps)
        case Vectorized():
            return painter(env.env)
        case MinAtar():
            return Painter(draw_planes, 12)
        case PixelMaze():
            return Painter(draw_screen, 8)
        case Atari() | HostAtari():
            return Painter(draw_screen, 15)
        case ClassicControl() if env.env.name in DRAWN:
            return Painter(lambda x: draw_control(env.env.name, x), 30)
        case _ if len(env.observation_space.shape) == 3:
            return Painter(draw_screen, 8)
        case _:
            return Painter(lambda x: draw_numbers(np.ravel(x)), 15)
