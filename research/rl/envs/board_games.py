"""Board games of two players with perfect information, as pure functions of one game's state.

A game here is one copy; `jax.vmap` makes a batch of it. What every game has:

    init() -> state                  the empty board, black to move
    play(state, action) -> state     one move of the player to move; a finished game stays as it is
    planes(history, player)          what a network sees

and the attributes of `BoardGame`. A state is a pytree of arrays, `BoardState` or a subclass of it.
Colours are +1 (black, who moves first) and -1 (white), 0 is an empty point; players take turns.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError


class BoardState(flax.struct.PyTreeNode):
    """One game in the middle.

    Attributes:
      history: int8 `[T, P]`, the board now and the T - 1 boards before it, colours of the P points.
      player: int8, the colour to move.
      plies: int32, moves played so far, passes included.
      legal: bool `[A]`, what the player to move may do.
      over: bool.
      outcome: int8, once over the colour that has won, 0 for a draw.
    """

    history: jax.Array
    player: jax.Array
    plies: jax.Array
    legal: jax.Array
    over: jax.Array
    outcome: jax.Array

    @property
    def board(self) -> jax.Array:
        """Colours `[P]` of the points now."""
        return self.history[..., 0, :]


class BoardGame:
    """Rules of a game on a rectangle of points, numbered row by row.

    Attributes:
      shape: rows and columns.
      points: P, their number.
      num_actions: A; action p < P is the point p wherever actions are points.
      max_plies: no game is longer.
      history: T, boards that a state keeps and a network sees.
      point_symmetries: int `[S, P]`; symmetry s moves what is on point `point_symmetries[s, p]` to
        point p. The first one changes nothing.
      action_symmetries: int `[S, A]`, the same of actions.
    """

    name: str
    shape: tuple[int, int]
    num_actions: int
    max_plies: int
    point_symmetries: np.ndarray
    action_symmetries: np.ndarray

    def __init__(self, history: int):
        if history < 1:
            raise UserError(f"a network sees at least one board, not {history}")
        self.history = history

    @property
    def points(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def num_planes(self) -> int:
        """Planes of `planes`: two for each board, one for the colour."""
        return 2 * self.history + 1

    def init(self) -> Any:
        """A game before its first move."""
        raise NotImplementedError

    def play(self, state: Any, action: jax.Array) -> Any:
        """The state after the player to move did `action`, which must be legal."""
        raise NotImplementedError

    def planes(self, history: jax.Array, player: jax.Array) -> jax.Array:
        """The input of a network (AlphaGo Zero, Methods, «Neural network architecture»).

        Args:
          history: int8 `[T, P]`, the newest board first.
          player: the colour to move.

        Returns:
          float32 `[H, W, 2 T + 1]`: own stones on the T boards, the opponent's, and ones where
          black is to move.
        """
        own, other = history == player, history == -player
        colour = jnp.broadcast_to(player == 1, (1, self.points))
        planes = jnp.concatenate([own, other, colour])
        return planes.T.reshape(*self.shape, self.num_planes).astype(jnp.float32)

    def blank(self) -> BoardState:
        """The fields of an empty board on which everything is legal."""
        return BoardState(
            history=jnp.zeros((self.history, self.points), jnp.int8),
            player=jnp.int8(1),
            plies=jnp.int32(0),
            legal=jnp.ones(self.num_actions, bool),
            over=jnp.bool_(False),
            outcome=jnp.int8(0),
        )


def draw_symmetries(game: BoardGame, key: jax.Array, count: int) -> jax.Array:
    """Numbers `[count]` of symmetries of a game's board, each as likely."""
    return jax.random.randint(key, (count,), 0, len(game.point_symmetries))


def turn_planes(game: BoardGame, planes: jax.Array, symmetry: jax.Array) -> jax.Array:
    """Planes `[N, H, W, C]` of boards as they look after a symmetry `[N]` each."""
    flat = planes.reshape(len(planes), game.points, -1)
    order = jnp.asarray(game.point_symmetries)[symmetry]
    return jnp.take_along_axis(flat, order[..., None], axis=1).reshape(planes.shape)


def turn_actions(game: BoardGame, values: jax.Array, symmetry: jax.Array) -> jax.Array:
    """Numbers `[N, A]`, one for each action, where the board was turned by `symmetry` `[N]`."""
    return jnp.take_along_axis(values, jnp.asarray(game.action_symmetries)[symmetry], axis=1)


def turn_actions_back(game: BoardGame, values: jax.Array, symmetry: jax.Array) -> jax.Array:
    """The inverse of `turn_actions`."""
    back = np.argsort(game.action_symmetries, axis=1)
    return jnp.take_along_axis(values, jnp.asarray(back)[symmetry], axis=1)


def push_board(history: jax.Array, board: jax.Array) -> jax.Array:
    """A history `[T, P]` with a new board in front; the oldest one falls out."""
    return jnp.concatenate([board[None], history[:-1]])


def unless_over(before: Any, after: Any) -> Any:
    """`after`, or `before` where that game was over."""
    return jax.tree.map(lambda x, y: jnp.where(before.over, x, y), before, after)


def dihedral(size: int) -> np.ndarray:
    """The eight symmetries of a square as permutations of its points, int32 `[8, size^2]`."""
    grid = np.arange(size * size).reshape(size, size)
    turned = [np.rot90(g, k) for g in (grid, grid.T) for k in range(4)]
    return np.stack([g.ravel() for g in turned]).astype(np.int32)


class LineGame(BoardGame):
    """Whoever first has so many stones in a line wins; a full board is a draw.

    Args:
      rows, columns: of the board.
      length: stones in a line that win, in rows, columns and diagonals.
      gravity: a stone falls to the lowest empty point of its column, and actions are columns.
      history: boards that a network sees.
    """

    def __init__(
        self, rows: int, columns: int, length: int, *, gravity: bool = False, history: int = 1
    ):
        super().__init__(history)
        self.name = f"{length} in a line, {rows}x{columns}"
        self.shape = rows, columns
        self.gravity = gravity
        self.max_plies = self.points
        self.num_actions = columns if gravity else self.points
        self.lines = _lines(rows, columns, length)
        grid = np.arange(self.points, dtype=np.int32).reshape(rows, columns)
        if gravity:
            self.point_symmetries = np.stack([grid.ravel(), grid[:, ::-1].ravel()])
            numbers = np.arange(columns, dtype=np.int32)
            self.action_symmetries = np.stack([numbers, numbers[::-1]])
        else:
            square = rows == columns
            flips = [grid, grid[:, ::-1], grid[::-1], grid[::-1, ::-1]]
            self.point_symmetries = (
                dihedral(rows) if square else np.stack([g.ravel() for g in flips])
            )
            self.action_symmetries = self.point_symmetries

    def init(self) -> BoardState:
        return self.blank()

    def play(self, state: BoardState, action: jax.Array) -> BoardState:
        point = action
        if self.gravity:  # row 0 is the top
            column = state.board.reshape(self.shape)[:, action]
            point = (jnp.sum(column == 0) - 1) * self.shape[1] + action
        board = state.board.at[point].set(state.player)
        won = (board[self.lines] == state.player).all(axis=1).any()
        empty = board == 0
        after = BoardState(
            history=push_board(state.history, board),
            player=-state.player,
            plies=state.plies + 1,
            legal=empty[: self.shape[1]] if self.gravity else empty,
            over=won | ~empty.any(),
            outcome=jnp.where(won, state.player, 0).astype(jnp.int8),
        )
        return unless_over(state, after)


def _lines(rows: int, columns: int, length: int) -> np.ndarray:
    """Points `[L, length]` of every line of that length."""
    lines = []
    for row in range(rows):
        for column in range(columns):
            for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                line = [(row + i * down, column + i * right) for i in range(length)]
                if all(0 <= r < rows and 0 <= c < columns for r, c in line):
                    lines.append([r * columns + c for r, c in line])
    return np.array(lines, np.int32)


def tic_tac_toe() -> LineGame:
    """Three in a line on 3x3, a draw if nobody errs."""
    return LineGame(3, 3, 3)


def connect_four(history: int = 1) -> LineGame:
    """Four in a line on six rows and seven columns, into which stones fall; black can win."""
    return LineGame(6, 7, 4, gravity=True, history=history)
