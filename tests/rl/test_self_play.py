"""The memory of games: every z is the finished game's, every history its own; resignation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.rl.envs.board_games import BoardState, tic_tac_toe
from research.rl.self_play import GameMemory, Resignation, restart

GAME = tic_tac_toe()


def played(rows, steps, history, seed=0):
    """A memory after random games, and the same as a list of finished and unfinished games."""
    game = tic_tac_toe()
    game.history = history
    memory, rng = GameMemory(game, rows), np.random.default_rng(seed)
    state = memory.init(4)
    games = jax.tree.map(lambda x: jnp.broadcast_to(x, (4, *x.shape)), game.init())
    add, play = jax.jit(memory.add), jax.jit(jax.vmap(game.play))
    running = [[] for _ in range(4)]  # boards so far
    expected = {}  # (step, column) -> (outcome, boards so far)
    for step in range(steps):
        drawn = np.asarray(games.legal) * rng.random((4, 9))
        actions = drawn.argmax(axis=1)
        visits = np.asarray(jax.nn.one_hot(actions, 9)) * (step + 1)
        after = play(games, jnp.array(actions))
        state = add(state, games, jnp.array(visits), after.over, after.outcome)
        for column in range(4):
            running[column].append((step, np.asarray(games.board[column]), actions[column]))
            if after.over[column]:
                boards = [board for _, board, _ in running[column]]
                for ply, (at, _, action) in enumerate(running[column]):
                    z = int(after.outcome[column]) * (1 if ply % 2 == 0 else -1)
                    expected[at, column] = z, boards[: ply + 1], action
                running[column] = []
        games = restart(after, after.over, game)
    return memory, state, expected


@pytest.mark.parametrize("steps", [25, 64])  # before the ring has gone round, and after
def test_drawn_positions_are_those_of_finished_games(steps):
    memory, state, expected = played(rows=30, steps=steps, history=3)
    assert memory.ready(state, GAME.max_plies)
    drawn = jax.device_get(
        jax.jit(lambda s, k: memory.sample(s, k, 200, GAME.max_plies))(state, jax.random.key(0))
    )
    assert drawn.known.all()
    by_visits = {}  # a row's visits say which it is: the move, and its step in their number
    for (step, column), row in expected.items():
        by_visits[step, column] = row
    found = set()
    for i, planes in enumerate(drawn.planes):
        column = i // 200
        planes = planes.reshape(9, 7)
        action = drawn.policy[i].argmax()
        candidates = [
            step
            for (step, c), (z, boards, played_action) in by_visits.items()
            if c == column
            and played_action == action
            and z == drawn.outcome[i]
            and same_history(planes, boards)
        ]
        assert candidates, "this position was in no finished game with this outcome"
        found.update((step, column) for step in candidates)
    old_enough = {key for key in expected if steps - 30 + 3 <= key[0] <= steps - 1 - GAME.max_plies}
    assert len(found & old_enough) > 0.9 * len(old_enough)


def same_history(planes, boards):
    """Whether planes `[9, 7]` of three boards show the newest of some boards."""
    ply = len(boards) - 1
    player = 1 if ply % 2 == 0 else -1
    for back in range(3):
        board = boards[ply - back] if back <= ply else np.zeros(9)
        if not np.array_equal(planes[:, back], board == player):
            return False
        if not np.array_equal(planes[:, 3 + back], board == -player):
            return False
    return bool((planes[:, 6] == (player == 1)).all())


def test_a_memory_shorter_than_a_game_is_refused():
    with pytest.raises(UserError, match="before they end"):
        GameMemory(GAME, 9)


def test_games_are_given_up_as_seldom_wrongly_as_asked():
    """Winners' lowest values are uniform in -1 to 1: the threshold is their quantile."""
    resignation = Resignation(share=1.0, wrong=0.05, memory=400)
    state = resignation.init(400, jax.random.key(0))
    assert resignation.threshold(state) == -2  # nothing is known yet
    lows = jnp.linspace(-1, 1, 400)
    black = jnp.ones(400, jnp.int8)
    state, gives_up = resignation.resigns(state, black, lows)
    assert not gives_up.any()
    # White thinks itself lost: it does not count, for it does lose.
    state, _ = resignation.resigns(state, -black, jnp.full(400, -1.0))
    state = resignation.finish(state, jnp.ones(400, bool), black, jax.random.key(1))
    assert abs(float(resignation.threshold(state)) + 0.9) < 0.02
    assert (state.lowest == 1).all()
    playing = state.replace(plays_on=jnp.arange(400) % 2 == 0)
    _, gives_up = resignation.resigns(playing, black, jnp.full(400, -0.95))
    np.testing.assert_array_equal(gives_up, np.arange(400) % 2 == 1)
    _, gives_up = resignation.resigns(playing, black, jnp.full(400, -0.85))
    assert not gives_up.any()


def test_a_game_that_is_given_up_counts_for_the_other():
    memory = GameMemory(GAME, 30)
    state = memory.init(1)
    games = jax.tree.map(lambda x: x[None], GAME.init())
    visits = jnp.ones((1, 9))
    state = memory.add(state, games, visits, jnp.array([False]), jnp.array([0]))
    games = jax.vmap(GAME.play)(games, jnp.array([4]))
    assert isinstance(games, BoardState)
    state = memory.add(state, games, visits, jnp.array([True]), jnp.array([1]))
    np.testing.assert_array_equal(state.outcome[:2, 0], [1, 1])
    assert state.known[:2].all() and not state.known[2:].any()
