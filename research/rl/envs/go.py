"""The rules of Go, for any size and komi: `Go` is a `BoardGame`.

As in AlphaGo Zero (Methods, «Domain knowledge»): no suicide; positional superko, so no move makes a
board that was there before; two passes end the game, or 2 size^2 plies do; Tromp-Taylor area
scoring, in which stones on the board are alive. A pass is the last action.

Every stone knows its chain (the number of one of the chain's points) and the liberties of that
chain. A board's hash is the sum, modulo 2^32, of a random word for each stone on it: that of the
board after a move, captures included, is then a difference of sums, and superko is known for every
point without playing there. Two words make a chance repetition as rare as 2^-64.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError
from research.rl.envs.board_games import (
    BoardGame,
    BoardState,
    dihedral,
    push_board,
    unless_over,
)

_COLUMNS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"  # no I, as on the rim of a board


class GoState(BoardState):
    """A game of Go.

    Attributes:
      chain: int16 `[P]`, the number of a stone's chain; P on empty points.
      liberties: int16 `[P]`, of a stone's chain; 0 on empty points.
      age: int8 `[P]`, 1 for the stone just played, 2 for that of the ply before, at most 8.
      passes: int8, in a row.
      hashes: uint32 `[max_plies + 1, 2]`, of the boards so far; zeros (the empty board's, which
        cannot come again) behind them.
    """

    chain: jax.Array
    liberties: jax.Array
    age: jax.Array
    passes: jax.Array
    hashes: jax.Array


class Go(BoardGame):
    """Go.

    Args:
      size: of the board's side, 2 to 25.
      komi: points that white is given. With a whole number a game may be drawn.
      max_plies: at which a game ends as it stands; 0 for 2 size^2.
      history: boards that a network sees, 8 in AlphaGo Zero.
    """

    def __init__(self, size: int, komi: float, *, max_plies: int = 0, history: int = 8):
        if not 2 <= size <= 25:
            raise UserError(f"a board has 2 to 25 points a side, not {size}")
        super().__init__(history)
        self.name = f"Go {size}x{size}"
        self.size, self.komi = size, komi
        self.shape = size, size
        self.max_plies = max_plies or 2 * size * size
        self.num_actions = self.points + 1
        self.passing = self.points  # the action
        self.point_symmetries = dihedral(size)
        last = np.full((8, 1), self.passing, np.int32)
        self.action_symmetries = np.concatenate([self.point_symmetries, last], axis=1)
        self.neighbours = _neighbours(size)
        words = np.random.default_rng(size).integers(0, 2**32, (2, self.points, 2), np.uint32)
        self.words = words  # of a white and a black stone on each point

    def init(self) -> GoState:
        return GoState(
            **vars(self.blank()),
            chain=jnp.full(self.points, self.points, jnp.int16),
            liberties=jnp.zeros(self.points, jnp.int16),
            age=jnp.zeros(self.points, jnp.int8),
            passes=jnp.int8(0),
            hashes=jnp.zeros((self.max_plies + 1, 2), jnp.uint32),
        )

    def play(self, state: GoState, action: jax.Array) -> GoState:
        board, chain, age = self._place(state, action)
        passes = jnp.where(action == self.passing, state.passes + 1, 0).astype(jnp.int8)
        plies, player = state.plies + 1, -state.player
        hashes = state.hashes.at[plies].set(self.board_hash(board))
        liberties = self.count_liberties(board, chain)
        over = (passes >= 2) | (plies >= self.max_plies)
        after = GoState(
            history=push_board(state.history, board),
            player=player,
            plies=plies,
            legal=self.legal_moves(board, chain, liberties, player, hashes, plies),
            over=over,
            # The board is only filled where a game has ended: elsewhere the loop makes no round.
            outcome=jnp.where(over, self.winner(board, over), 0).astype(jnp.int8),
            chain=chain,
            liberties=liberties,
            age=age,
            passes=passes,
            hashes=hashes,
        )
        return unless_over(state, after)

    def _place(self, state: GoState, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Board, chains and ages after a move: the stone put down, chains joined and captured."""
        plays = action != self.passing
        point = jnp.minimum(action, self.points - 1)
        around = self._around(state.board, state.chain, state.liberties, point[None])
        colour, chain, liberties = (x[0] for x in around)
        # The last liberty of a chain next to an empty point is that point.
        captures = (colour == -state.player) & (liberties == 1)
        captured = ((state.chain[:, None] == chain) & captures).any(axis=1)
        joined = ((state.chain[:, None] == chain) & (colour == state.player)).any(axis=1)

        board = jnp.where(captured, 0, state.board).at[point].set(state.player)
        number = point.astype(state.chain.dtype)  # this point was empty: no chain has its number
        chains = jnp.where(captured, self.points, jnp.where(joined, number, state.chain))
        chains = chains.astype(state.chain.dtype).at[point].set(number)
        board = jnp.where(plays, board, state.board)
        chains = jnp.where(plays, chains, state.chain)
        age = jnp.where(board == 0, 0, jnp.minimum(state.age + 1, 8)).astype(jnp.int8)
        newest = plays & (jnp.arange(self.points) == point)
        return board, chains, jnp.where(newest, 1, age).astype(jnp.int8)

    def _around(
        self, board: jax.Array, chain: jax.Array, liberties: jax.Array, points: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Colours (2 beyond the rim), chains and liberties `[N, 4]` of what is next to points."""
        at = jnp.asarray(self.neighbours)[points]
        colour = jnp.append(board, jnp.int8(2))[at]
        chain = jnp.append(chain, jnp.int16(self.points))[at]
        return colour, chain, jnp.append(liberties, jnp.int16(0))[at]

    def legal_moves(
        self,
        board: jax.Array,
        chain: jax.Array,
        liberties: jax.Array,
        player: jax.Array,
        hashes: jax.Array,
        plies: jax.Array,
    ) -> jax.Array:
        """What `player` may do, `[P + 1]`: no suicide, no board that was there before; a pass."""
        around, next_chain, next_liberties = self._around(
            board, chain, liberties, jnp.arange(self.points)
        )
        free = (around == 0).any(axis=1)
        connects = ((around == player) & (next_liberties > 1)).any(axis=1)
        captures = (around == -player) & (next_liberties == 1)
        possible = (board == 0) & (free | connects | captures.any(axis=1))

        # Every captured chain leaves with all of its stones, once though it touch several sides.
        captures &= first_of_row(next_chain)
        chain_hash = self._chain_hash(board, chain)
        chain_hash = jnp.concatenate([chain_hash, jnp.zeros((1, 2), jnp.uint32)])
        lost = jnp.where(captures[..., None], chain_hash[self.neighbours], 0).sum(axis=1)
        words = jnp.where(player == 1, self.words[1], self.words[0])
        after = hashes[plies] + words - lost.astype(jnp.uint32)
        seen = (after[:, None, 0] == hashes[:, 0]) & (after[:, None, 1] == hashes[:, 1])
        return jnp.append(possible & ~seen.any(axis=1), True)

    def board_hash(self, board: jax.Array) -> jax.Array:
        """Two words `[2]`, the sums of those of the stones of a board `[P]`."""
        return self._stone_words(board).sum(axis=0, dtype=jnp.uint32)

    def _stone_words(self, board: jax.Array) -> jax.Array:
        words = jnp.where(board[:, None] == 1, self.words[1], self.words[0])
        return jnp.where(board[:, None] == 0, jnp.uint32(0), words)

    def _chain_hash(self, board: jax.Array, chain: jax.Array) -> jax.Array:
        """Sums `[P, 2]` of the words of a stone's chain."""
        return jax.lax.platform_dependent(
            board, chain, cpu=self._hash_by_segments, default=self._hash_by_comparison
        )

    def _hash_by_segments(self, board: jax.Array, chain: jax.Array) -> jax.Array:
        sums = jnp.zeros((self.points + 1, 2), jnp.uint32)
        return sums.at[chain].add(self._stone_words(board))[chain]

    def _hash_by_comparison(self, board: jax.Array, chain: jax.Array) -> jax.Array:
        same = chain[:, None] == chain
        words = jnp.where(same[..., None], self._stone_words(board), 0)
        return words.sum(axis=1, dtype=jnp.uint32)

    def count_liberties(self, board: jax.Array, chain: jax.Array) -> jax.Array:
        """Liberties of every stone's chain, int16 `[P]`; 0 on empty points.

        Every empty point is a liberty of each chain next to it, once though it touch several sides.
        A CPU adds them up chain by chain; where additions into places are slow, as on a TPU, each
        stone is compared with what is next to each point.
        """
        counts = jax.lax.platform_dependent(
            board, chain, cpu=self._liberties_by_segments, default=self._liberties_by_comparison
        )
        return jnp.where(board == 0, 0, counts)

    def _next_chains(self, chain: jax.Array) -> jax.Array:
        return jnp.append(chain, jnp.int16(self.points))[self.neighbours]  # [P, 4]

    def _liberties_by_segments(self, board: jax.Array, chain: jax.Array) -> jax.Array:
        next_chain = self._next_chains(chain)
        counted = first_of_row(next_chain) & (board == 0)[:, None]
        counts = jnp.zeros(self.points + 1, jnp.int16)
        return counts.at[next_chain].add(counted.astype(jnp.int16))[chain]

    def _liberties_by_comparison(self, board: jax.Array, chain: jax.Array) -> jax.Array:
        touches = (chain[:, None, None] == self._next_chains(chain)).any(axis=2) & (board == 0)
        return touches.sum(axis=1, dtype=jnp.int16)

    def area(self, board: jax.Array, wanted: jax.Array | bool = True) -> jax.Array:
        """Points `[2, P]` of black and of white: their stones, and what only they reach.

        Args:
          board: int8 `[P]`.
          wanted: where false, the answer is of no use and costs nothing.
        """
        stones = jnp.stack([board == 1, board == -1])

        def spread(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            reached, _ = carry
            padded = jnp.pad(reached, ((0, 0), (0, 1)))
            new = reached | (padded[:, self.neighbours].any(axis=2) & (board == 0))
            return new, (new != reached).any()

        start = stones, jnp.asarray(wanted)
        reached, _ = jax.lax.while_loop(lambda carry: carry[1], spread, start)
        return reached & ~reached[::-1]

    def score(self, board: jax.Array, wanted: jax.Array | bool = True) -> jax.Array:
        """Black's area less white's area and komi, in points."""
        black, white = self.area(board, wanted).sum(axis=1)
        return black - white - self.komi

    def winner(self, board: jax.Array, wanted: jax.Array | bool = True) -> jax.Array:
        """The colour that has won a finished game, 0 for a draw."""
        return jnp.sign(self.score(board, wanted)).astype(jnp.int8)

    def move_name(self, action: int) -> str:
        """A move as players write it: "C3" is the third column of the third row from below."""
        if action == self.passing:
            return "pass"
        row, column = divmod(int(action), self.size)
        return f"{_COLUMNS[column]}{self.size - row}"

    def read_move(self, text: str) -> int:
        """The action of `move_name`'s text, in letters of either case.

        Raises:
          UserError: it is no move on this board.
        """
        word = text.strip().upper()
        if word == "PASS":
            return self.passing
        column = _COLUMNS.find(word[:1]) if word else -1
        row = int(word[1:]) if word[1:].isascii() and word[1:].isdigit() else 0
        if not (0 <= column < self.size and 1 <= row <= self.size):
            last = self.move_name(self.size - 1)
            raise UserError(f"{text!r} is no move on {self.name}; moves are A1 to {last}, or pass")
        return (self.size - row) * self.size + column


def first_of_row(numbers: jax.Array) -> jax.Array:
    """Marks in each row of `[N, 4]` the numbers that do not stand farther left in it."""
    marks = [
        jnp.stack([numbers[:, k] != numbers[:, j] for j in range(k)]).all(axis=0)
        for k in range(1, numbers.shape[1])
    ]
    return jnp.stack([jnp.ones(len(numbers), bool), *marks], axis=1)


def _neighbours(size: int) -> np.ndarray:
    """Points `[P, 4]` above, below, left and right of each; P beyond the rim."""
    rim = np.pad(np.arange(size * size).reshape(size, size), 1, constant_values=size * size)
    sides = rim[:-2, 1:-1], rim[2:, 1:-1], rim[1:-1, :-2], rim[1:-1, 2:]
    return np.stack([side.ravel() for side in sides], axis=1).astype(np.int32)
