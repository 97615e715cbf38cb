"""Go against a flood fill and pgx on random games, and on positions made by hand."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.rl.envs.go import Go
from tests.rl.envs.go_by_hand import GoByHand

PASS = "pass"


@functools.cache
def game(size, komi=7.5, max_plies=0, history=2):
    built = Go(size, komi, max_plies=max_plies, history=history)
    return built, jax.jit(jax.vmap(built.play))


def batched(state):
    return jax.tree.map(lambda x: x[None], state)


def play_all(go, play, moves):
    """The state after moves such as "C3"; every one has to be legal."""
    state = batched(go.init())
    for name in moves:
        action = go.read_move(name)
        assert state.legal[0, action], name
        state = play(state, jnp.array([action]))
    return state


def names(go, mask):
    return {go.move_name(action) for action in np.flatnonzero(mask)}


@pytest.mark.parametrize(("size", "games"), [(3, 64), (5, 24)])
def test_random_games_are_those_of_a_flood_fill(size, games):
    # On 3x3 with many plies captures follow each other and boards come again: superko is met.
    go, play = game(size, komi=0.5, max_plies=60)
    rng = np.random.default_rng(size)
    ours = jax.tree.map(lambda x: jnp.broadcast_to(x, (games, *x.shape)), go.init())
    theirs = [GoByHand(size, 0.5, 60) for _ in range(games)]
    forbidden = captured = 0
    for _ in range(go.max_plies + 1):
        state = jax.device_get(ours)
        actions = []
        for i, hand in enumerate(theirs):
            assert state.over[i] == hand.over
            np.testing.assert_array_equal(state.board[i].reshape(size, size), hand.board)
            if hand.over:
                assert state.outcome[i] == np.sign(hand.score())
                actions.append(0)
                continue
            legal = hand.legal()
            np.testing.assert_array_equal(state.legal[i], legal)
            free = [hand.after(a) is not None for a in range(size**2)]
            forbidden += np.sum(free) - legal[:-1].sum()
            for row, column in itertools.product(range(size), range(size)):
                stone = hand.board[row, column]
                count = len(hand.liberties(hand.board, (row, column))) if stone else 0
                assert state.liberties[i, row * size + column] == count
            weights = np.append(np.full(size**2, 1.0), 0.05) * legal
            action = rng.choice(size**2 + 1, p=weights / weights.sum())
            stones = np.abs(hand.board).sum()
            hand.play(action)
            captured += stones + (action != size**2) - np.abs(hand.board).sum()
            actions.append(action)
        ours = play(ours, jnp.array(actions))
    assert all(hand.over for hand in theirs)
    assert captured > 100 and (forbidden > 20 or size > 3)


def test_both_ways_to_add_up_chains_are_the_same():
    go, play = game(5, komi=0.5, max_plies=60)
    rng = np.random.default_rng(0)
    state = jax.tree.map(lambda x: jnp.broadcast_to(x, (24, *x.shape)), go.init())
    for _ in range(15):
        weights = np.asarray(state.legal)[:, :-1] * rng.random((24, 25))
        state = play(state, jnp.array(weights.argmax(axis=1)))
    stones = state.board != 0
    for segments, compared in (
        (go._liberties_by_segments, go._liberties_by_comparison),
        (go._hash_by_segments, go._hash_by_comparison),
    ):
        one, other = (jax.vmap(f)(state.board, state.chain) for f in (segments, compared))
        np.testing.assert_array_equal(one[stones], other[stones])


def test_random_games_are_those_of_pgx():
    """Where pgx ends a game that repeats a board as lost, ours has forbidden the move."""
    pgx_go = pytest.importorskip("pgx.go", exc_type=ImportError)
    go, play = game(5, komi=0.5, max_plies=60)
    theirs = pgx_go.Go(size=5, komi=0.5, max_terminal_steps=60)
    keys = jax.random.split(jax.random.key(0), 24)
    them = jax.jit(jax.vmap(theirs.init))(keys)
    step = jax.jit(jax.vmap(theirs.step))
    us = jax.tree.map(lambda x: jnp.broadcast_to(x, (24, *x.shape)), go.init())
    rng, followed = np.random.default_rng(1), 0
    for _ in range(60):
        alive = ~np.asarray(us.over)
        np.testing.assert_array_equal(np.asarray(them.terminated), ~alive)
        legal, other = np.asarray(us.legal), np.asarray(them.legal_action_mask)
        # Theirs knows simple ko alone, so it may allow more.
        assert not (legal & ~other)[alive].any()
        followed += (legal == other).all(axis=1)[alive].sum()
        weights = legal * rng.random(legal.shape)
        weights[:, -1] *= 0.7
        actions = jnp.array(weights.argmax(axis=1))
        us, them = play(us, actions), step(them, actions)
        ended = np.asarray(us.over) & alive
        won = np.asarray(them.rewards)[np.arange(24), np.asarray(them.current_player)]
        mover = np.asarray(us.player)
        np.testing.assert_array_equal((won * mover)[ended], np.asarray(us.outcome)[ended])
    assert followed > 300


def test_ko_may_not_be_taken_back_at_once():
    go, play = game(5)
    moves = "B4 C4 A3 D3 B2 C2 C3 B3".split()  # white B3 has taken C3
    state = play_all(go, play, moves)
    assert state.board[0, go.read_move("C3")] == 0
    assert "C3" not in names(go, state.legal[0])
    # After a threat and its answer the board is another one.
    state = play_all(go, play, [*moves, "E5", "E1"])
    assert "C3" in names(go, state.legal[0])
    state = play(state, jnp.array([go.read_move("C3")]))
    assert state.board[0, go.read_move("B3")] == 0
    assert "B3" not in names(go, state.legal[0])


def test_a_cycle_longer_than_ko_is_forbidden():
    """Two by two: black takes three, white takes three, and so on; simple ko would not see it."""
    go, play = game(2)
    hand = GoByHand(2, 7.5)
    state = batched(go.init())
    cycle = 0
    # Depth first through all games of a few plies, until superko alone forbids a move.
    stack = [([], state, hand)]
    while stack and not cycle:
        moves, state, hand = stack.pop()
        for action in range(4):
            board = hand.after(action)
            if board is None:
                assert not state.legal[0, action]
            elif board.tobytes() in hand.seen:
                assert not state.legal[0, action]
                cycle = len(moves) >= 4
            elif len(moves) < 7:
                other = GoByHand(2, 7.5)
                for move in [*moves, action]:
                    other.play(move)
                stack.append(([*moves, action], play(state, jnp.array([action])), other))
    assert cycle


def test_suicide_is_forbidden_and_capture_is_not_suicide():
    go, play = game(5)
    state = play_all(go, play, ["A4", PASS, "B5"])
    assert "A5" not in names(go, state.legal[0])  # white's
    # White's A5 would have no liberty, but takes B5 and A4.
    state = play_all(go, play, ["A4", "A3", "B5", "C5", PASS, "B4"])
    assert state.board[0, go.read_move("A4")] == 1
    state = play(state, jnp.array([go.passing]))
    assert "A5" in names(go, state.legal[0])
    state = play(state, jnp.array([go.read_move("A5")]))
    assert [int(state.board[0, go.read_move(p)]) for p in ("A5", "A4", "B5")] == [-1, 0, 0]


def test_snapback():
    """A stone is thrown in, taken, and takes three back at once: that is no ko."""
    go, play = game(5)
    state = play_all(go, play, "A2 A3 B2 B3 E5 C2 E4 C1 E3 A1 B1".split())
    stones = [go.read_move(name) for name in ("A1", "A2", "B1", "B2")]
    assert state.board[0][np.array(stones)].tolist() == [0, 1, 1, 1]
    assert "A1" in names(go, state.legal[0])
    state = play(state, jnp.array([stones[0]]))
    assert state.board[0][np.array(stones)].tolist() == [-1, 0, 0, 0]


def test_a_group_with_two_eyes_lives():
    go, play = game(5)
    # Black lives along the rim, with eyes at A5 and C5; white is all around.
    moves = "A4 A3 B4 B3 C4 C3 D4 D3 D5 E3 B5 E4".split()
    state = play_all(go, play, [*moves, PASS, "E5", PASS])
    assert {"A5", "C5"}.isdisjoint(names(go, state.legal[0]))
    state = play(state, jnp.array([go.passing]))
    assert state.over[0]
    hand = GoByHand(5, 7.5)
    hand.board = np.asarray(state.board[0]).reshape(5, 5).astype(int)
    assert float(go.score(state.board[0])) == hand.score() == 8 - 17 - 7.5


def test_who_fills_a_seki_is_captured():
    """Black's second row and white's three stones below it share two liberties, A1 and E1."""
    go, play = game(5)
    seki = f"A2 A3 B2 B3 C2 C3 D2 D3 E2 E3 {PASS} B1 {PASS} C1 {PASS} D1".split()
    state = play_all(go, play, seki)
    for chain in ("C2", "C1"):
        assert state.liberties[0, go.read_move(chain)] == 2
    assert {"A1", "E1"} <= names(go, state.legal[0])
    black_fills = play_all(go, play, [*seki, "A1", "E1"])
    assert (black_fills.board[0] == 1).sum() == 0
    white_fills = play_all(go, play, [*seki, PASS, "A1", "E1"])
    assert (white_fills.board[0].reshape(5, 5)[4] == -1).sum() == 0
    # Left alone, both stand: the shared points are nobody's.
    over = play_all(go, play, [*seki, PASS, PASS])
    assert float(go.score(over.board[0])) == 5 - (3 + 5 + 10) - 7.5


@pytest.mark.parametrize("symmetry", range(8))
def test_playing_commutes_with_the_symmetries_of_the_board(symmetry):
    go, play = game(5, komi=0.5, max_plies=60)
    points, actions = go.point_symmetries[symmetry], go.action_symmetries[symmetry]
    where = np.argsort(actions)  # where action a of the plain board lies on the turned one
    plain, turned = batched(go.init()), batched(go.init())
    rng = np.random.default_rng(2)
    for _ in range(25):
        np.testing.assert_array_equal(plain.legal[0][actions], turned.legal[0])
        np.testing.assert_array_equal(plain.board[0][points], turned.board[0])
        if plain.over[0]:
            break
        action = rng.choice(np.flatnonzero(plain.legal[0]))
        plain = play(plain, jnp.array([action]))
        turned = play(turned, jnp.array([where[action]]))
    assert plain.outcome[0] == turned.outcome[0]


def test_ages_and_history_follow_the_stones():
    go, play = game(5, history=3)
    state = play_all(go, play, ["A1", "B1", PASS, "E5"])
    assert {p: int(state.age[0, go.read_move(p)]) for p in ("A1", "B1", "E5", "C3")} == {
        "A1": 4,
        "B1": 3,
        "E5": 1,
        "C3": 0,
    }
    planes = jax.vmap(go.planes)(state.history, state.player)[0]
    assert planes.shape == (5, 5, 7)
    own, other, colour = planes[..., 0], planes[..., 3], planes[..., 6]
    assert own[4, 0] == 1 and own.sum() == 1 and other[4, 1] == 1 and other[0, 4] == 1
    assert colour.all()  # black is to move
    assert planes[..., 4].sum() == 1  # a ply ago white's E5 was not there


def test_finished_games_stay():
    go, play = game(5)
    state = play_all(go, play, ["C3", PASS, PASS])
    assert state.over[0] and state.outcome[0] == 1  # 25 - 7.5
    again = play(state, jnp.array([0]))
    jax.tree.map(np.testing.assert_array_equal, state, again)
    even, play_even = game(5, komi=25)
    assert play_all(even, play_even, ["C3", PASS, PASS]).outcome[0] == 0


@pytest.mark.parametrize("text", ["I3", "A6", "F1", "A0", "", "33", "A", "C3x", "А1"])
def test_what_is_no_move_is_refused(text):
    with pytest.raises(UserError, match="is no move on Go 5x5"):
        game(5)[0].read_move(text)


def test_moves_are_written_and_read():
    go, _ = game(5)
    assert [go.move_name(a) for a in (0, 4, 20, 25)] == ["A5", "E5", "A1", "pass"]
    for action in range(26):
        assert go.read_move(go.move_name(action).lower()) == action
    with pytest.raises(UserError, match="points a side"):
        Go(26, 0.5)
