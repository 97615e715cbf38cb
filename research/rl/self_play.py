"""Games that a player plays against itself, and the memory of them that it learns from.

    memory = GameMemory(game, rows=600)
    state = memory.init(num_games)
    state = memory.add(state, games, visits, ended, outcome)
    positions = memory.sample(state, key, rows_per_game=4, minimum_age=game.max_plies)

One row is a ply of all games: the board before the move, and what the search made of it. A row's
outcome z is known only when its game is over: then it is written back over all of the game's rows.
Who draws rows older than the longest game can be never meets an unfinished one. Boards are stored
once; those before them, which a network sees too, are the rows before. Every row lies on the device
that its game is played on, and drawing moves nothing between devices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from research.core.errors import UserError
from research.rl.envs.board_games import BoardGame, BoardState


class Positions(NamedTuple):
    """Positions to learn from, `[N, ...]`.

    Attributes:
      planes: `[N, H, W, C]`, what the network sees.
      policy: `[N, A]`, pi, the share of the search's visits of each move.
      outcome: `[N]`, z for the player to move there, 1 for a win.
      known: bool `[N]`, whether the row's game is over.
    """

    planes: jax.Array
    policy: jax.Array
    outcome: jax.Array
    known: jax.Array


class MemoryState(flax.struct.PyTreeNode):
    """The newest R plies of G games.

    Attributes:
      board: int8 `[R, G, P]`.
      visits: uint16 `[R, G, A]`, of the root's moves.
      ply: int16 `[R, G]`, of its game; black moves at even ones.
      outcome: int8 `[R, G]`, the colour that won the row's game, 0 for a draw.
      known: bool `[R, G]`, whether that game is over.
      added: int32, rows added since the beginning; the newest is at (added - 1) % R.
    """

    board: jax.Array
    visits: jax.Array
    ply: jax.Array
    outcome: jax.Array
    known: jax.Array
    added: jax.Array


class GameMemory:
    """A ring of the newest plies.

    Args:
      game: what is played.
      rows: R, plies of each game that are kept; more than the longest game has.
    """

    def __init__(self, game: BoardGame, rows: int):
        if rows <= game.max_plies + game.history:
            raise UserError(
                f"a memory of {rows} plies forgets games of {game.max_plies} plies before they end"
            )
        self.game, self.rows = game, rows

    def init(self, num_games: int) -> MemoryState:
        at = self.rows, num_games
        return MemoryState(
            board=jnp.zeros((*at, self.game.points), jnp.int8),
            visits=jnp.zeros((*at, self.game.num_actions), jnp.uint16),
            ply=jnp.zeros(at, jnp.int16),
            outcome=jnp.zeros(at, jnp.int8),
            known=jnp.zeros(at, bool),
            added=jnp.int32(0),
        )

    def add(
        self,
        state: MemoryState,
        games: BoardState,
        visits: jax.Array,
        ended: jax.Array,
        outcome: jax.Array,
    ) -> MemoryState:
        """Adds the newest ply of every game.

        Args:
          state: the memory.
          games: `[G]`, before the move.
          visits: `[G, A]`, of the moves at the root.
          ended: `[G]`, whether the move ended the game.
          outcome: `[G]`, the colour that won; of account where the game ended.
        """
        at = state.added % self.rows
        state = state.replace(
            board=state.board.at[at].set(games.board),
            visits=state.visits.at[at].set(visits.astype(jnp.uint16)),
            ply=state.ply.at[at].set(games.plies.astype(jnp.int16)),
            known=state.known.at[at].set(False),
            added=state.added + 1,
        )
        # The rows of the games that ended, back to their first ply.
        back = jnp.arange(self.game.max_plies)[:, None]
        rows = (at - back) % self.rows
        own = (back <= games.plies) & ended
        columns = jnp.arange(len(ended))
        old = state.outcome[rows, columns], state.known[rows, columns]
        return state.replace(
            outcome=state.outcome.at[rows, columns].set(
                jnp.where(own, outcome, old[0]).astype(jnp.int8)
            ),
            known=state.known.at[rows, columns].set(old[1] | own),
        )

    def ready(self, state: MemoryState, minimum_age: int) -> jax.Array:
        """Whether there are rows of at least that age."""
        return state.added > minimum_age

    def sample(
        self, state: MemoryState, key: jax.Array, rows_per_game: int, minimum_age: int
    ) -> Positions:
        """Draws as many rows from each game's column, uniformly: `[G * rows_per_game, ...]`.

        Args:
          state: `ready`.
          key: of the draw.
          rows_per_game: from each column.
          minimum_age: plies that a row is old at least, `game.max_plies` for games that are over.
        """
        games = state.ply.shape[1]
        # The oldest rows have lost the boards before them, where the ring has been filled.
        kept = jnp.minimum(state.added, self.rows)
        oldest = jnp.where(state.added > self.rows, kept - self.game.history, kept - 1)
        ages = jax.random.randint(
            key, (games, rows_per_game), minimum_age, jnp.maximum(oldest, minimum_age) + 1
        )
        return jax.tree.map(
            lambda x: x.reshape(-1, *x.shape[2:]),
            jax.vmap(self._column, in_axes=(1, 1, 1, 1, 1, 0, None))(
                state.board,
                state.visits,
                state.ply,
                state.outcome,
                state.known,
                ages,
                state.added,
            ),
        )

    def _column(
        self,
        board: jax.Array,
        visits: jax.Array,
        ply: jax.Array,
        outcome: jax.Array,
        known: jax.Array,
        age: jax.Array,
        added: jax.Array,
    ) -> Positions:
        """Rows of some ages `[n]` of one game's column `[R, ...]`."""
        row = (added - 1 - age) % self.rows
        at_ply = ply[row].astype(jnp.int32)
        player = (1 - 2 * (at_ply % 2)).astype(jnp.int8)
        # The boards before, empty ones before a game's first.
        back = jnp.arange(self.game.history)
        history = board[(row[:, None] - back) % self.rows]
        history = jnp.where((back <= at_ply[:, None])[..., None], history, 0)
        counts = visits[row].astype(jnp.float32)
        return Positions(
            planes=jax.vmap(self.game.planes)(history, player),
            policy=counts / jnp.maximum(counts.sum(axis=1, keepdims=True), 1),
            outcome=(outcome[row] * player).astype(jnp.float32),
            known=known[row],
        )


class ResignationState(flax.struct.PyTreeNode):
    """What decides when a lost game is given up.

    Attributes:
      plays_on: bool `[G]`, games that are played to their end all the same.
      lowest: float32 `[G, 2]`, the lowest value that black and white have had in each game.
      measured: float32 `[K]`, the lowest values of winners in games that were played on.
      count: int32, how many have been measured.
    """

    plays_on: jax.Array
    lowest: jax.Array
    measured: jax.Array
    count: jax.Array


class Resignation:
    """Gives lost games up, so seldom wrongly as is asked (AlphaGo Zero, Methods, «Self-play»).

    A share of the games is played to the end. In those, a threshold v would have given up a game
    wrongly if the winner's value ever lay below v: the threshold is the quantile of the winners'
    lowest values that leaves `wrong` below it.

    Args:
      share: of games that are played on, 0.1 in the paper.
      wrong: share of given-up games that would have been won, less than 0.05 in the paper.
      memory: games from which the threshold is told; none is given up before so many have ended.
    """

    def __init__(self, share: float = 0.1, wrong: float = 0.05, memory: int = 256):
        self.share, self.wrong, self.memory = share, wrong, memory

    def init(self, num_games: int, key: jax.Array) -> ResignationState:
        return ResignationState(
            plays_on=jax.random.uniform(key, (num_games,)) < self.share,
            lowest=jnp.ones((num_games, 2)),
            measured=jnp.ones(self.memory),
            count=jnp.int32(0),
        )

    def threshold(self, state: ResignationState) -> jax.Array:
        """v_resign; -2, which no value is below, until enough has been measured."""
        quantile = jnp.quantile(state.measured, self.wrong, method="lower")
        return jnp.where(state.count >= self.memory, quantile, -2.0)

    def resigns(
        self, state: ResignationState, player: jax.Array, value: jax.Array
    ) -> tuple[ResignationState, jax.Array]:
        """Notes values and tells who gives up, `[G]`.

        Args:
          state: of the games.
          player: `[G]`, the colour to move.
          value: `[G]`, for that player: the better of the root's and of its best child's.
        """
        side = jnp.where(player == 1, 0, 1)
        rows = jnp.arange(len(side))
        lowest = state.lowest.at[rows, side].min(value)
        gives_up = ~state.plays_on & (value < self.threshold(state))
        return state.replace(lowest=lowest), gives_up

    def finish(
        self, state: ResignationState, ended: jax.Array, outcome: jax.Array, key: jax.Array
    ) -> ResignationState:
        """Measures the games that ended, and draws which of those that begin are played on."""
        winner = jnp.where(outcome == 1, 0, 1)
        lowest = jnp.take_along_axis(state.lowest, winner[:, None], axis=1)[:, 0]
        counted = ended & state.plays_on & (outcome != 0)
        place = (state.count + jnp.cumsum(counted) - 1) % self.memory
        place = jnp.where(counted, place, self.memory)
        drawn = jax.random.uniform(key, ended.shape) < self.share
        return ResignationState(
            plays_on=jnp.where(ended, drawn, state.plays_on),
            lowest=jnp.where(ended[:, None], 1.0, state.lowest),
            measured=state.measured.at[place].set(lowest, mode="drop"),
            count=state.count + counted.sum(dtype=jnp.int32),
        )


def restart(games: Any, ended: jax.Array, game: BoardGame) -> Any:
    """The games `[G]`, with a new one in place of each that ended."""
    fresh = game.init()

    def pick(x: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(ended.reshape(-1, *[1] * new.ndim), new, x)

    return jax.tree.map(pick, games, fresh)


def mean_of_ended(ended: jax.Array, values: jax.Array) -> jax.Array:
    """Mean of `values` `[G]` over the games that have `ended`, NaN where none has."""
    count = ended.sum()
    return jnp.where(count > 0, (ended * values).sum() / count, jnp.nan)
