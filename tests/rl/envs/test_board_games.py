"""Tic-tac-toe and connect four: lines, gravity, draws, and symmetries that come back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.rl.envs import board_games
from research.rl.envs.board_games import connect_four, tic_tac_toe
from research.rl.envs.go import Go


def play_all(game, actions):
    state, play = game.init(), jax.jit(game.play)
    for action in actions:
        assert state.legal[action] and not state.over
        state = play(state, jnp.int32(action))
    return state


def test_tic_tac_toe():
    game = tic_tac_toe()
    assert len(game.lines) == 8
    won = play_all(game, (0, 3, 1, 4, 2))
    assert won.over and won.outcome == 1
    assert play_all(game, (8, 2, 0, 4, 1, 6)).outcome == -1
    draw = play_all(game, (4, 0, 8, 2, 1, 7, 5, 3, 6))
    assert draw.over and draw.outcome == 0


def test_connect_four():
    game = connect_four()
    assert len(game.lines) == 69 and game.num_actions == 7
    state = play_all(game, (3, 3, 3))
    board = np.asarray(state.board).reshape(6, 7)
    assert board[5, 3] == 1 and board[4, 3] == -1 and board[3, 3] == 1
    assert not play_all(game, (0, 0, 0, 0, 0, 0)).legal[0]  # the column is full
    assert play_all(game, (0, 1, 0, 1, 0, 1, 0)).outcome == 1  # upwards
    assert play_all(game, (0, 6, 1, 6, 2, 5, 3)).outcome == 1  # along
    diagonal = (0, 1, 1, 2, 2, 3, 2, 3, 3, 6, 3)
    assert play_all(game, diagonal).outcome == 1


@pytest.mark.parametrize("game", [tic_tac_toe(), connect_four(), Go(5, 0.5)])
def test_symmetries_are_undone(game):
    count = len(game.point_symmetries)
    values = jax.random.normal(jax.random.key(0), (count, game.num_actions))
    symmetry = jnp.arange(count)
    turned = board_games.turn_actions(game, values, symmetry)
    back = board_games.turn_actions_back(game, turned, symmetry)
    np.testing.assert_array_equal(back, values)
    np.testing.assert_array_equal(turned[0], values[0])
    assert len(np.unique(game.point_symmetries, axis=0)) == count
    if isinstance(game, Go):  # a pass stays a pass, and planes turn as the moves do
        np.testing.assert_array_equal(turned[:, -1], values[:, -1])
        planes = values[:, :-1].reshape(count, 5, 5, 1)
        moved = board_games.turn_planes(game, planes, symmetry)
        np.testing.assert_array_equal(moved.reshape(count, -1), turned[:, :-1])
        np.testing.assert_array_equal(moved[1, ..., 0], np.rot90(planes[1, ..., 0]))


def test_a_network_sees_at_least_one_board():
    with pytest.raises(UserError, match="at least one board"):
        connect_four(history=0)
