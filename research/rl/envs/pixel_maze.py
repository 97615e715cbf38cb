"""A maze seen in colours from above its walker, who always looks up: apples are to be found, lemons
to be left alone.

The plan of 9x9 cells holds 4x4 rooms with passages between them, drawn anew for every episode, as
are the colours of floor and walls, the walker's room and direction, and where the fruit lies. The
picture, 20x20 RGB pixels, shows the 5x5 cells that lie up to four ahead and two to either side, the
walker's own in the middle of the lowest row; what lies outside of the plan is wall. Actions: 0 step
forward (no way through walls), 1 turn left, 2 turn right.

An apple is worth 1, a lemon -1, whoever steps on it eats it. The episode terminates with the last
apple and is truncated after 100 steps.

Everything is tables and sums over them; `SingleEnvironment` says what the methods return.
"""

from __future__ import annotations

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.rl.envs.environments import Step

FLOOR, WALL, APPLE, LEMON = range(4)
NAME = "pixel-maze"
_ROOMS = 4  # on a side
_SIDE = 2 * _ROOMS + 1  # of the plan, in cells
_AHEAD, _ASIDE = 4, 2  # cells in sight
_VIEW = _AHEAD + 1  # = 2 * _ASIDE + 1, side of the view in cells
_PIXELS = 4  # side of a cell in the picture
_OPEN = 0.3  # share of the passages that are open though no room needs them
# Row and column steps of the directions up, right, down, left: a turn right is the next one.
_STEPS = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)], np.int32)

# Pictures of a cell, in letters: f, w colours of floor and wall, d a darker wall, others fixed.
_DRAWN = {
    FLOOR: ("ffff", "ffff", "ffff", "ffff"),
    WALL: ("wwwd", "dddd", "wdww", "dddd"),
    APPLE: ("ffgf", "frrf", "frrf", "ffff"),
    LEMON: ("ffff", "fyyf", "fyyf", "fgff"),
}
_WALKER = ("fbbf", "bbbb", "bffb", "ffff")
_FIXED = {"r": (220, 40, 40), "y": (230, 200, 40), "g": (40, 160, 60), "b": (250, 250, 250)}
_LETTERS = "fwd" + "".join(_FIXED)
_TILES = np.array(
    [[[_LETTERS.index(c) for c in row] for row in rows] for rows in (*_DRAWN.values(), _WALKER)]
)


class MazeState(flax.struct.PyTreeNode):
    """One maze in the middle of an episode.

    Attributes:
      plan: `[9, 9]` int32, what lies in each cell.
      colours: `[2, 3]` uint8, of floor and walls.
      position: `[2]`, row and column of the walker.
      direction: 0 to 3 for up, right, down, left.
      time: in steps.
    """

    plan: jax.Array
    colours: jax.Array
    position: jax.Array
    direction: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True)
class PixelMaze:
    """A `SingleEnvironment` of one maze.

    Attributes:
      apples, lemons: how many there are at first.
      time_limit: steps after which the episode is truncated.
    """

    apples: int = 5
    lemons: int = 2
    time_limit: int = 100

    num_actions, action_size = 3, 0

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((_VIEW * _PIXELS, _VIEW * _PIXELS, 3), jnp.uint8)

    def reset(self, key: jax.Array) -> tuple[jax.Array, MazeState]:
        plan_key, room_key, colour_key, direction_key = jax.random.split(key, 4)
        rooms = jax.random.permutation(room_key, _ROOMS**2)
        places = 1 + 2 * jnp.stack([rooms // _ROOMS, rooms % _ROOMS], axis=1)
        plan = _plan(plan_key)
        for kind, start, count in ((APPLE, 1, self.apples), (LEMON, 1 + self.apples, self.lemons)):
            there = places[start : start + count]
            plan = plan.at[there[:, 0], there[:, 1]].set(kind)
        colours = jax.random.randint(colour_key, (2, 3), 0, 256).astype(jnp.uint8)
        direction = jax.random.randint(direction_key, (), 0, 4)
        state = MazeState(plan, colours, places[0], direction, jnp.int32(0))
        return observe(state), state

    def step(self, key: jax.Array, env_state: MazeState, action: jax.Array) -> Step:
        direction = (env_state.direction + jnp.array([0, 3, 1])[action]) % 4
        ahead = env_state.position + jnp.where(action == 0, jnp.asarray(_STEPS)[direction], 0)
        free = env_state.plan[ahead[0], ahead[1]] != WALL
        row, column = position = jnp.where(free, ahead, env_state.position)
        eaten = env_state.plan[row, column]
        reward = (eaten == APPLE).astype(jnp.float32) - (eaten == LEMON)
        plan = env_state.plan.at[row, column].set(FLOOR)
        time = env_state.time + 1
        final = MazeState(plan, env_state.colours, position, direction, time)
        terminated = ~(plan == APPLE).any()
        truncated = (time == self.time_limit) & ~terminated
        last_observation, (first_observation, first) = observe(final), self.reset(key)
        done = terminated | truncated
        next_state = jax.tree.map(lambda a, b: jnp.where(done, a, b), first, final)
        observation = jnp.where(done, first_observation, last_observation)
        info = {"final_observation": last_observation, "life_lost": jnp.zeros((), bool)}
        return observation, next_state, reward, terminated, truncated, info


def _plan(key: jax.Array) -> jax.Array:
    """Draws walls and passages: a binary tree, in which every room opens to the one above it or to
    the one on its left, and some more passages."""
    upward_key, more_key = jax.random.split(key)
    upward = jax.random.bernoulli(upward_key, 0.5, (_ROOMS, _ROOMS))
    upward = upward.at[0].set(False).at[1:, 0].set(True)
    more = jax.random.bernoulli(more_key, _OPEN, (2, _ROOMS, _ROOMS))
    up = (upward | more[0])[1:]  # of the rooms in the lower rows, to the row above
    left = (~upward | more[1])[:, 1:]
    plan = jnp.full((_SIDE, _SIDE), WALL, jnp.int32)
    plan = plan.at[1::2, 1::2].set(FLOOR)
    plan = plan.at[2:-1:2, 1::2].set(jnp.where(up, FLOOR, WALL))
    return plan.at[1::2, 2:-1:2].set(jnp.where(left, FLOOR, WALL))


def observe(state: MazeState) -> jax.Array:
    """Draws the picture `[20, 20, 3]` uint8."""
    ahead = jnp.asarray(_STEPS)[state.direction]
    aside = jnp.asarray(_STEPS)[(state.direction + 1) % 4]
    forward, right = np.mgrid[_AHEAD:-1:-1, -_ASIDE : _ASIDE + 1]
    place = state.position + forward[..., None] * ahead + right[..., None] * aside
    padded = jnp.pad(state.plan, _AHEAD, constant_values=WALL)
    view = padded[place[..., 0] + _AHEAD, place[..., 1] + _AHEAD]
    view = view.at[-1, _ASIDE].set(len(_DRAWN))  # the walker's own cell
    darker = state.colours[1] // 2
    fixed = np.array(list(_FIXED.values()), np.uint8)
    palette = jnp.concatenate([state.colours, darker[None], fixed])
    picture = palette[jnp.asarray(_TILES)[view]]  # [5, 5, 4, 4, 3]
    return picture.swapaxes(1, 2).reshape(_VIEW * _PIXELS, _VIEW * _PIXELS, 3)
