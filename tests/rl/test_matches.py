"""Paired openings, both colours, and Elo from what is known."""

import jax
import jax.numpy as jnp
import numpy as np

from research.rl.envs.board_games import tic_tac_toe
from research.rl.envs.go import Go
from research.rl.matches import fit_elo, play_match, random_openings, random_player, summarize

GAME = tic_tac_toe()


def first_free(variables, states, key):
    """Plays the first legal point, or with variables 1 the last."""
    order = jnp.arange(9) * jnp.where(variables == 1, 1, -1)
    return jnp.where(states.legal, order, -99).argmax(axis=1)


def by_hand(a, b, board, player):
    """Points of `a`, who moves first."""
    board, turn, lines = board.copy(), 0, GAME.lines
    while True:
        free = np.flatnonzero(board == 0)
        if not len(free):
            return 0.5
        board[free[-1] if (a, b)[turn] == 1 else free[0]] = player
        if (board[lines] == player).all(axis=1).any():
            return 1.0 - turn
        player, turn = -player, 1 - turn


def test_every_opening_is_played_with_both_colours():
    openings = random_openings(GAME, jax.random.key(0), 12, 3)
    assert (openings.plies == 3).all()
    players = jnp.int32(0), jnp.int32(1)
    match = jax.jit(lambda f, v, k: play_match(GAME, first_free, first_free, v, f, k))
    points = match(openings, players, jax.random.key(1))
    for i in range(12):
        board, player = np.asarray(openings.board[i], int), int(openings.player[i])
        assert points[i, 0] == by_hand(0, 1, board, player)
        assert points[i, 1] == 1 - by_hand(1, 0, board, player)
    same = match(openings, (players[0], players[0]), jax.random.key(1))
    np.testing.assert_array_equal(
        same.sum(axis=1), 1
    )  # one half against itself, opening by opening
    # The other way to compile it, with two functions, is the same.
    other = lambda *args: first_free(*args)  # noqa: E731
    again = play_match(GAME, first_free, other, players, openings, jax.random.key(1))
    np.testing.assert_array_equal(points, again)


def test_the_score_and_its_error():
    score = summarize(np.array([[1, 1], [1, 0], [0.5, 0.5], [0, 0]]))
    assert score.games == 8 and score.mean == 0.5
    np.testing.assert_allclose(score.error, np.std([1, 0.5, 0.5, 0], ddof=1) / 2)


def test_random_players_pass_only_when_they_must():
    go = Go(3, 0.5)
    states = random_openings(go, jax.random.key(0), 64, 4)
    assert (states.passes == 0).all()
    stuck = states.replace(legal=states.legal.at[:, :-1].set(False))
    assert (random_player(go)(None, stuck, jax.random.key(0)) == go.passing).all()


def test_elo_of_known_strengths():
    rating = np.array([0.0, 200.0, 350.0, -120.0])
    expected = 1 / (1 + 10 ** ((rating[None] - rating[:, None]) / 400))
    games = np.full((4, 4), 1e6) * (1 - np.eye(4))
    games[0, 2] = games[2, 0] = 0  # not everybody meets
    np.testing.assert_allclose(fit_elo(expected * games, games), rating, atol=0.1)
    alone = np.zeros((3, 3))
    alone[0, 1] = alone[1, 0] = 10
    found = fit_elo(np.array([[0, 0, 0], [10, 0, 0], [0, 0, 0.0]]), alone)
    assert found[0] == 0 and 300 < found[1] < 800 and np.isnan(found[2])
