"""People's games: a folder of SGF files, checked move by move, as positions to learn from."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.core import Source, UserError
from research.papers.alphago.go_demo import check_move
from research.papers.alphago.pipeline import Labelled, unpack, value_planes
from research.rl.envs import sgf
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES

HELD_OUT = 10  # of every so many games one is not learned from
TEST_BLOCKS = 8  # of the held-out games, at most, are foretold in a test


class Games(NamedTuple):
    """Games of a folder.

    Attributes:
      names: of the files, G.
      actions: int16 `[G, L]`, -1 after the last move. A handicap's stones are black's moves, with
        white's passes between them.
      setup: int32 `[G]`, how many of the actions are of that kind.
      winner: int8 `[G]`, 1 for black, -1 for white, 0 where the file does not say.
    """

    names: list[str]
    actions: np.ndarray
    setup: np.ndarray
    winner: np.ndarray


def read_games(go: Go, folder: Path) -> Games:
    """The games of all `*.sgf` files below a folder, in the order of their names.

    Raises:
      UserError: there is none, or fewer than two with moves; a file is damaged, of a board of
        another size, or has a move that is against the rules. The message names the file.
    """
    if not folder.is_dir():
        raise UserError(f"alphago.sgf_folder: there is no folder {folder}")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".sgf")
    names, games, setup, winner = [], [], [], []
    for path in paths:
        name = str(path.relative_to(folder))
        # Comments may be in any encoding; what is read of a game is ASCII.
        record = sgf.read(path.read_text(encoding="utf-8", errors="replace"), name)
        if record.size != go.size:
            raise UserError(
                f"{name}: a board of {record.size}x{record.size}, but the network is for "
                f"{go.size}x{go.size}"
            )
        if all(move == go.passing for move in record.moves):
            continue
        placed: list[int] = []
        for stone in record.black_stones:
            placed += [stone, go.passing]
        placed = placed[:-1]  # white moves next
        names.append(name)
        games.append([*placed, *record.moves])
        setup.append(len(placed))
        winner.append({"B": 1, "W": -1}.get(record.result[:1], 0))
    if len(games) < 2:
        raise UserError(f"alphago.sgf_folder: {len(games)} games in {folder}; it takes two or more")
    actions = np.full((len(games), max(map(len, games))), -1, np.int16)
    for row, moves in zip(actions, games, strict=True):
        row[: len(moves)] = moves
    found = Games(names, actions, np.array(setup, np.int32), np.array(winner, np.int8))
    check_games(go, found)
    return found


def check_games(go: Go, games: Games, block: int = 64) -> None:
    """Asks that every move of all games is legal.

    Raises:
      UserError: one is not. The message names the file, the move, and the rule it breaks.
    """

    for start in range(0, len(games.names), block):
        rows = games.actions[start : start + block]
        room = np.full((block - len(rows), rows.shape[1]), -1, np.int16)
        found = np.asarray(_first_bad(go, np.concatenate([rows, room])))[: len(rows)]
        for row in np.flatnonzero(found >= 0)[:1]:
            _explain(go, games, start + row, int(found[row]))


@functools.partial(jax.jit, static_argnums=0)
def _first_bad(go: Go, actions: jax.Array) -> jax.Array:
    """Places `[N]` of the first moves of games `[N, L]` that are not legal, -1 where all are."""

    def ply(state: Any, action: jax.Array) -> tuple[Any, jax.Array]:
        good = (action < 0) | (state.legal[action] & ~state.over)
        return go.play(state, jnp.maximum(action, 0)), good

    def game(actions: jax.Array) -> jax.Array:
        return jax.lax.scan(ply, go.init(), actions.astype(jnp.int32))[1]

    goods = jax.vmap(game)(actions)
    return jnp.where(goods.all(axis=1), -1, goods.argmin(axis=1))


def _explain(go: Go, games: Games, game: int, bad: int) -> None:
    """Raises the error of a game whose move `bad` is not legal."""
    name, setup = games.names[game], int(games.setup[game])
    if bad < setup:
        raise UserError(f"{name}: its set-up stones are no position")
    state, play = go.init(), jax.jit(go.play)
    for action in games.actions[game, :bad]:
        state = play(state, jnp.int32(action))
    try:
        check_move(go, state, int(games.actions[game, bad]), bad - setup + 1)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


class SgfSource(Source):
    """Batches of positions of people's games; passes are left out, as in the paper.

    Games come in a random order, in blocks; all positions of a block are made together, since each
    is reached from the one before, and come in a random order too.

    Args:
      go: the rules.
      folder: of the files.
      batch_size: positions.
      seed: of the orders.
      block_games: games of a block.
    """

    def __init__(self, go: Go, folder: Path, batch_size: int, seed: int, block_games: int = 64):
        self.go, self.folder, self.batch_size, self.seed = go, folder, batch_size, seed
        self.block_games = block_games
        self.spec = {
            "planes": jax.ShapeDtypeStruct((batch_size, *go.shape, NUM_PLANES + 1), np.uint8),
            "action": jax.ShapeDtypeStruct((batch_size,), np.int32),
            "outcome": jax.ShapeDtypeStruct((batch_size,), np.float32),
        }
        self.games: Games | None = None
        self.block = self.batch = 0  # where the next batch comes from
        self._loaded: tuple[int, Labelled, np.ndarray] | None = None

    def open(self) -> None:
        if self.games is None:
            self.games = read_games(self.go, self.folder)
            self.origin = f"{len(self.games.names)} games of {self.folder.name}"

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        if self._loaded is None or self._loaded[0] != self.block:
            positions = self.positions(self._learned_from(self.block))
            rng = np.random.default_rng((self.seed, 1, self.block))
            order = rng.permutation(len(positions.action))
            if len(order) < self.batch_size:  # a small block comes several times
                order = np.resize(order, self.batch_size)
            self._loaded = self.block, positions, order
        _, positions, order = self._loaded
        rows = order[self.batch * self.batch_size :][: self.batch_size]
        self.batch += 1
        if (self.batch + 1) * self.batch_size > len(order):
            self.block, self.batch = self.block + 1, 0
        first, count = jax.process_index(), jax.process_count()
        rows = rows[first * self.batch_size // count :][: self.batch_size // count]
        found = jax.tree.map(lambda x: x[rows], positions)
        return {
            "planes": unpack(self.go, found.planes),
            "action": found.action,
            "outcome": found.outcome,
        }

    def test_positions(self) -> Labelled:
        """Positions of games that are not learned from."""
        assert self.games is not None
        held_out = np.arange(0, len(self.games.names), HELD_OUT)
        starts = range(0, len(held_out), self.block_games)[:TEST_BLOCKS]
        blocks = [self.positions(held_out[i : i + self.block_games]) for i in starts]
        return jax.tree.map(lambda *xs: np.concatenate(xs), *blocks)

    def _learned_from(self, block: int) -> np.ndarray:
        """Games `[block_games]` of a block; every game comes once before any comes again."""
        assert self.games is not None
        numbers = np.arange(len(self.games.names))
        learned = numbers[numbers % HELD_OUT != 0]
        size = min(self.block_games, len(learned))
        places = np.arange(block * size, (block + 1) * size)
        epochs = {
            epoch: np.random.default_rng((self.seed, 0, epoch)).permutation(learned)
            for epoch in np.unique(places // len(learned)).tolist()
        }
        return np.array([epochs[place // len(learned)][place % len(learned)] for place in places])

    def positions(self, chosen: np.ndarray) -> Labelled:
        """All positions of some games, at most `block_games` of them."""
        assert self.games is not None
        games = self.games
        actions = np.full((self.block_games, games.actions.shape[1]), -1, np.int16)
        actions[: len(chosen)] = games.actions[chosen]
        planes, player = jax.device_get(_replay(self.go, jax.device_put(actions.T)))
        kept = (actions.T >= 0) & (actions.T != self.go.passing)
        kept[:, : len(chosen)] &= np.arange(len(kept))[:, None] >= games.setup[chosen]
        game = np.broadcast_to(np.pad(chosen, (0, self.block_games - len(chosen))), kept.shape)
        return Labelled(
            planes=planes[kept],
            action=actions.T[kept].astype(np.int32),
            outcome=(games.winner[game] * player)[kept].astype(np.float32),
            game=game[kept].astype(np.int32),
        )

    def get_state(self) -> dict[str, Any]:
        return {"block": self.block, "batch": self.batch}

    def set_state(self, state: dict[str, Any]) -> None:
        self.block, self.batch = state["block"], state["batch"]


@functools.partial(jax.jit, static_argnums=0)
def _replay(go: Go, actions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Packed planes `[L, N, B]` before each move of games `[L, N]`, and the colours to move."""
    count = actions.shape[1]
    start = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), go.init())

    def ply(states: Any, action: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        planes = jax.vmap(lambda s: value_planes(go, s))(states)
        packed = jnp.packbits(planes.reshape(count, -1), axis=1)
        return jax.vmap(go.play)(states, jnp.maximum(action, 0)), (packed, states.player)

    return jax.lax.scan(ply, start, actions.astype(jnp.int32))[1]
