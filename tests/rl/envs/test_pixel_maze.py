"""The maze's rules, on mazes as they are drawn and on one drawn here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.envs import pixel_maze
from research.rl.envs.pixel_maze import APPLE, FLOOR, LEMON, WALL, MazeState, PixelMaze

ENV = PixelMaze()
STEP = jax.jit(ENV.step)


@pytest.fixture(scope="module")
def mazes():
    return jax.jit(jax.vmap(ENV.reset))(jax.random.split(jax.random.key(0), 200))[1]


def test_every_room_is_reached_and_the_plan_is_closed(mazes):
    assert (mazes.plan[:, 0] == WALL).all() and (mazes.plan[:, :, -1] == WALL).all()
    for plan, start in zip(np.asarray(mazes.plan), np.asarray(mazes.position), strict=True):
        reached, edge = {tuple(start)}, [tuple(start)]
        while edge:
            row, column = edge.pop()
            for there in (
                (row + 1, column),
                (row - 1, column),
                (row, column + 1),
                (row, column - 1),
            ):
                if plan[there] != WALL and there not in reached:
                    reached.add(there)
                    edge.append(there)
        assert len(reached) == (plan != WALL).sum()
        assert (plan[1::2, 1::2] != WALL).all() and plan[tuple(start)] == FLOOR
        assert (plan == APPLE).sum() == ENV.apples and (plan == LEMON).sum() == ENV.lemons


def test_episodes_differ_and_keys_decide(mazes):
    for leaf in (mazes.plan, mazes.colours, mazes.position, mazes.direction):
        assert len(np.unique(np.asarray(leaf).reshape(200, -1), axis=0)) > 3
    state = jax.tree.map(lambda x: x[0], mazes)
    one, two = (STEP(jax.random.key(3), state, 0) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, one, two)


def drawn(position=(3, 1), direction=0, time=0):
    """A corridor with an apple to the north of a lemon, and another apple far off."""
    plan = np.full((9, 9), WALL)
    plan[1:8, 1] = FLOOR
    plan[1, 1:8] = FLOOR
    plan[2, 1], plan[1, 1], plan[1, 7] = LEMON, APPLE, APPLE
    colours = jnp.array([[10, 20, 30], [100, 120, 140]], jnp.uint8)
    return MazeState(
        jnp.asarray(plan),
        colours,
        jnp.array(position, jnp.int32),
        jnp.int32(direction),
        jnp.int32(time),
    )


def walk(state, actions):
    rewards = []
    for t, action in enumerate(actions):
        _, state, reward, terminated, truncated, _ = STEP(jax.random.key(t), state, action)
        rewards.append(float(reward))
    return state, rewards, bool(terminated), bool(truncated)


def test_moves_walls_and_rewards():
    state, rewards, terminated, truncated = walk(drawn(), [0, 0, 0])
    assert rewards == [-1, 1, 0] and not terminated and not truncated
    assert state.position.tolist() == [1, 1] and state.time == 3  # the wall was no way
    assert (state.plan[:3, 1] == jnp.array([WALL, FLOOR, FLOOR])).all()  # eaten
    state, rewards, *_ = walk(state, [2, 0, 1, 1, 0, 0])
    assert rewards == [0] * 6 and state.position.tolist() == [1, 1] and state.direction == 3
    state, rewards, terminated, _ = walk(state, [1, 1, *[0] * 6])
    assert rewards == [0] * 7 + [1] and terminated  # the last apple
    assert state.time == 0 and (state.plan == APPLE).sum() == ENV.apples  # another maze


def test_time_is_up_by_truncation():
    state, _, terminated, truncated = walk(drawn(time=ENV.time_limit - 1), [1])
    assert truncated and not terminated and state.time == 0
    _, _, terminated, truncated = walk(drawn(time=ENV.time_limit - 2), [1])
    assert not truncated and not terminated
    last = drawn((1, 6), 1, ENV.time_limit - 1)
    last = last.replace(plan=jnp.where(last.plan == APPLE, FLOOR, last.plan).at[1, 7].set(APPLE))
    _, rewards, terminated, truncated = walk(last, [0])
    assert rewards == [1] and terminated and not truncated


def test_the_picture_shows_what_lies_ahead():
    """Each of the 5x5 cells against a look at the plan, from all places and directions."""
    looks = {
        0: lambda f, r: (-f, r),
        1: lambda f, r: (r, f),
        2: lambda f, r: (f, -r),
        3: lambda f, r: (-r, -f),
    }
    tiles = {}
    for direction, look in looks.items():
        for position in ((3, 1), (1, 4), (1, 1), (7, 1)):
            state = drawn(position, direction)
            picture, plan = np.asarray(pixel_maze.observe(state)), np.asarray(state.plan)
            for f in range(5):
                for r in range(-2, 3):
                    row, column = np.add(position, look(f, r))
                    inside = 0 <= row < 9 and 0 <= column < 9
                    kind = int(plan[row, column]) if inside else WALL
                    kind = "walker" if (f, r) == (0, 0) else kind
                    top, left = 4 * (4 - f), 4 * (r + 2)
                    tile = picture[top : top + 4, left : left + 4]
                    np.testing.assert_array_equal(tile, tiles.setdefault(kind, tile))
    assert len({tile.tobytes() for tile in tiles.values()}) == len(tiles) == 5
    assert (tiles[FLOOR] == [10, 20, 30]).all()
    assert (tiles[WALL].reshape(-1, 3).max(axis=0) == [100, 120, 140]).all()
