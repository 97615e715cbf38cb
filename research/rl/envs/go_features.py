"""The 48 feature planes of AlphaGo (2016, extended data table 2), from the side of the mover.

Stone colour 3, ones 1, turns since a stone was played 8, liberties 8, capture size 8, self-atari
size 8, liberties after the move 8, ladder capture 1, ladder escape 1, sensibleness 1, zeros 1.
Whole numbers are one plane each for 1, 2, ... and 8 or more. Sizes and liberties after a move stand
on the points of legal moves. A move is sensible if it is legal and does not fill an own eye.

Departure: ladders are read along one line. The defender extends at the last liberty; the attacker
takes the liberty after which the defender has fewer; captures of attacking stones are not read.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from research.rl.envs.go import Go, GoState

NUM_PLANES = 48
SENSIBLE = 46  # the plane of sensible moves
_LADDER_PLIES = 100  # a ladder that is read so far is a capture


def feature_planes(go: Go, state: GoState) -> jax.Array:
    """bool `[H, W, 48]` of one position."""
    board = state.board * state.player  # own stones are 1
    legal = state.legal[:-1]
    captured, size, liberties = _after_each_move(go, state)
    capture, escape = _ladders(go, state)
    planes = [
        *(board == colour for colour in (1, -1, 0)),
        jnp.ones(go.points, bool),
        *_counted(state.age, board != 0),
        *_counted(state.liberties, board != 0),
        *_counted(captured, legal),
        *_counted(size, legal & (liberties == 1)),
        *_counted(liberties, legal),
        capture,
        escape,
        legal & ~own_eyes(go, state.board, state.player),
        jnp.zeros(go.points, bool),
    ]
    return jnp.stack(planes, axis=-1).reshape(*go.shape, NUM_PLANES)


def own_eyes(go: Go, board: jax.Array, player: jax.Array) -> jax.Array:
    """Empty points `[P]` all around which are own stones, and on whose corners the opponent has
    none, or one where the point is not on the rim."""
    sides = jnp.append(board, jnp.int8(2))[go.neighbours]
    corners = jnp.append(board, jnp.int8(2))[_corners(go.size)]
    surrounded = ((sides == player) | (sides == 2)).all(axis=1)
    hostile = (corners == -player).sum(axis=1)
    rim = (corners == 2).any(axis=1)
    return (board == 0) & surrounded & (hostile < jnp.where(rim, 1, 2))


def _counted(numbers: jax.Array, where: jax.Array) -> list[jax.Array]:
    capped = jnp.minimum(numbers, 8)
    return [where & (capped == i) for i in range(1, 9)]


def _after_each_move(go: Go, state: GoState) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Stones captured, and size and liberties of the own chain, after a move at each point `[P]`.

    They are of no account where the move is not legal.
    """
    stones = (state.board != 0).sum()

    def after(point: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        board, chain, _ = go._place(state, point)
        captured = stones + 1 - (board != 0).sum()
        own = (chain == chain[point]) & (board == state.player)
        return captured, own.sum(), go.count_liberties(board, chain)[point]

    return jax.vmap(after)(jnp.arange(go.points))


def _ladders(go: Go, state: GoState) -> tuple[jax.Array, jax.Array]:
    """Points `[P]` where a move captures in a ladder, and where one escapes from one.

    A capture puts a chain of the opponent's with two liberties into atari from which it does not
    escape; an escape gives an own chain in atari liberties enough.
    """
    board, chain, liberties, legal = state.board, state.chain, state.liberties, state.legal[:-1]
    at = jnp.asarray(go.neighbours)
    around = jnp.append(board, jnp.int8(2))[at]
    libs = jnp.append(liberties, jnp.int16(0))[at]
    neighbours = jnp.minimum(at, go.points - 1)

    def one(point: jax.Array, side: jax.Array, attacks: bool) -> jax.Array:
        prey = neighbours[point, side]
        placed = go._place(state, point)[:2]
        return _is_caught(go, *placed, prey, state.player * (-1 if attacks else 1), attacks)

    points, sides = jnp.arange(go.points), jnp.arange(4)
    grid = jax.vmap(jax.vmap(one, (None, 0, None)), (0, None, None))
    attacked = legal[:, None] & (around == -state.player) & (libs == 2)
    saved = legal[:, None] & (around == state.player) & (libs == 1)
    capture = attacked & grid(points, sides, True)
    escape = saved & ~grid(points, sides, False)
    del board, chain
    return capture.any(axis=1), escape.any(axis=1)


def _is_caught(
    go: Go, board: jax.Array, chain: jax.Array, prey: jax.Array, colour: jax.Array, runs: bool
) -> jax.Array:
    """Whether the chain at `prey`, of a colour, is captured in a ladder.

    Args:
      go: the rules.
      board, chain: of the position.
      prey: a point of the chain.
      colour: the chain's.
      runs: whether the chain's side is to move; it has one liberty then.
    """

    def liberty_points(board: jax.Array, chain: jax.Array) -> jax.Array:
        touched = jnp.append(chain == chain[prey], False)[go.neighbours].any(axis=1)
        return touched & (board == 0)

    def put(board: jax.Array, chain: jax.Array, point: jax.Array, who: jax.Array):
        """Board and chains after a move, as in the rules; nothing else of the game matters."""
        liberties = go.count_liberties(board, chain)
        blank = go.init().replace(
            history=jnp.broadcast_to(board, (go.history, go.points)),
            chain=chain,
            liberties=liberties,
            player=who.astype(jnp.int8),
        )
        return go._place(blank, point)[:2]

    def run(board: jax.Array, chain: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The defender extends at the first of its liberties; how many it has then."""
        board, chain = put(board, chain, liberty_points(board, chain).argmax(), colour)
        return board, chain, liberty_points(board, chain).sum()

    def ply(carry):
        board, chain, _, plies = carry
        frees = liberty_points(board, chain)
        first, last = frees.argmax(), go.points - 1 - frees[::-1].argmax()
        tries = [run(*put(board, chain, point, -colour)) for point in (first, last)]
        better = tries[1][2] < tries[0][2]
        board, chain, count = jax.tree.map(lambda x, y: jnp.where(better, y, x), *tries)
        return board, chain, count, plies + 1

    count = liberty_points(board, chain).sum()
    if runs:
        moved = run(board, chain)
        board, chain, count = jax.tree.map(
            lambda x, y: jnp.where(count == 1, x, y), moved, (board, chain, count)
        )
    start = board, chain, count, jnp.int32(0)
    end = jax.lax.while_loop(lambda c: (c[2] == 2) & (c[3] < _LADDER_PLIES), ply, start)
    return end[2] <= 2


def _corners(size: int) -> np.ndarray:
    """Points `[P, 4]` diagonally next to each; P beyond the rim."""
    rim = np.pad(np.arange(size * size).reshape(size, size), 1, constant_values=size * size)
    corners = rim[:-2, :-2], rim[:-2, 2:], rim[2:, :-2], rim[2:, 2:]
    return np.stack([c.ravel() for c in corners], axis=1).astype(np.int32)
