"""Data of the 2016 pipeline: positions of an expert's games, and one position a game for values.

A few functions play matches and games for it. All are given the moves to choose by as functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.core import Source, UserError
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES, SENSIBLE, feature_planes
from research.rl.tree_search import ILLEGAL, TreeSearch, visit_policy

Choose = Callable[[Any, jax.Array], jax.Array]  # (states [N], key) -> actions [N]


class Labelled(NamedTuple):
    """Positions of games, `[N, ...]`.

    Attributes:
      planes: uint8 `[N, B]`, the 49 planes of each position, eight bits a byte.
      action: int32 `[N]`, what was played.
      outcome: float32 `[N]`, 1 where the player to move won.
      game: int32 `[N]`, which game a position is of.
    """

    planes: np.ndarray
    action: np.ndarray
    outcome: np.ndarray
    game: np.ndarray


def value_planes(go: Go, state: Any) -> jax.Array:
    """bool `[H, W, 49]`: the features, and ones where black is to move (for the value network)."""
    colour = jnp.broadcast_to(state.player == 1, (*go.shape, 1))
    return jnp.concatenate([feature_planes(go, state), colour], axis=-1)


def point_logits(points: jax.Array, planes: jax.Array) -> jax.Array:
    """Logits `[N, P + 1]` of sensible moves, and a pass where there is none.

    The papers' policy network knows no pass, and passes are left out of its games; a game that
    nobody can end would be filled up to the last eye, which is when it is over here.

    Args:
      points: `[N, P]`, of the policy network.
      planes: `[N, H, W, 48]` or more.
    """
    sensible = planes[..., SENSIBLE].reshape(points.shape) > 0
    logits = jnp.where(sensible, points, ILLEGAL)
    ends = jnp.where(sensible.any(axis=1), 2 * ILLEGAL, 0.0)
    return jnp.concatenate([logits, ends[:, None]], axis=1)


def play_games(
    go: Go, choose: Choose, count: int, key: jax.Array, plies: int = 0
) -> tuple[Any, jax.Array, jax.Array]:
    """Plays games from the beginning; pure.

    Returns:
      Positions `[L, N, ...]` before every move, the moves `[L, N]`, and the winners `[N]`.
    """
    start = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), go.init())

    def ply(states: Any, key: jax.Array) -> tuple[Any, tuple[Any, jax.Array]]:
        action = choose(states, key)
        return jax.vmap(go.play)(states, action), (states, action)

    keys = jax.random.split(key, plies or go.max_plies)
    last, (states, actions) = jax.lax.scan(ply, start, keys)
    return states, actions, last.outcome


def label_games(go: Go, choose: Choose, count: int, key: jax.Array) -> dict[str, jax.Array]:
    """Every position of so many games, with what was played and who won; pure.

    Returns:
      Arrays `[L, N, ...]` with the fields of `Labelled`, and "kept": the game was not over, and the
      move no pass (passes are left out, as in the paper).
    """
    states, actions, winner = play_games(go, choose, count, key)

    def planes(states: Any) -> jax.Array:
        found = jax.vmap(lambda s: value_planes(go, s))(states)
        return jnp.packbits(found.reshape(count, -1), axis=1)

    return {
        "planes": jax.lax.map(planes, states),
        "action": actions,
        "outcome": (winner * states.player).astype(jnp.float32),
        "kept": ~states.over & (actions != go.passing),
        "ended": ~states.over,
    }


def one_position_a_game(
    go: Go, supervised: Choose, reinforced: Choose, longest: int, count: int, key: jax.Array
) -> dict[str, jax.Array]:
    """Value data (Methods, «Reinforcement learning of value networks»): s_{U+1} and its outcome.

    U is uniform over 1 to `longest`; U - 1 moves are the supervised policy's, one is drawn from all
    legal ones, and the rest are the reinforced policy's.

    Returns:
      Arrays `[N, ...]`: "planes", "outcome", and "kept", false where the game was over before.
    """
    u_key, uniform_key, key = jax.random.split(key, 3)
    u = jax.random.randint(u_key, (count,), 1, longest + 1)

    def choose(states: Any, key: jax.Array) -> jax.Array:
        plies = states.plies + 1  # the move that is chosen, counted from 1
        draw = jax.random.fold_in(uniform_key, plies[0])
        uniform = jax.random.categorical(draw, jnp.where(states.legal, 0.0, ILLEGAL))
        own, other = supervised(states, key), reinforced(states, key)
        return jnp.where(plies < u, own, jnp.where(plies == u, uniform, other))

    states, _, winner = play_games(go, choose, count, key)
    rows = jnp.minimum(u, go.max_plies - 1), jnp.arange(count)
    at = jax.tree.map(lambda x: x[rows], states)  # s_{U+1}: after U moves
    found = jax.vmap(lambda s: value_planes(go, s))(at)
    return {
        "planes": jnp.packbits(found.reshape(count, -1), axis=1),
        "outcome": (winner * at.player).astype(jnp.float32),
        "kept": ~at.over & (u < go.max_plies),
    }


class PositionSource(Source):
    """Batches of labelled positions, drawn uniformly with replacement.

    Args:
      go: the rules.
      batch_size: positions.
      seed: of the draw.
      missing: what to say where nobody will put positions here; "" where somebody will.
    """

    def __init__(self, go: Go, batch_size: int, seed: int, missing: str = ""):
        self.go, self.batch_size, self.seed, self.missing = go, batch_size, seed, missing
        self.labelled: Labelled | None = None  # put here before the run
        self.origin = "games played in this run"
        self.step = 0
        self.spec = {
            "planes": jax.ShapeDtypeStruct((batch_size, *go.shape, NUM_PLANES + 1), np.uint8),
            "action": jax.ShapeDtypeStruct((batch_size,), np.int32),
            "outcome": jax.ShapeDtypeStruct((batch_size,), np.float32),
        }

    def open(self) -> None:
        if self.missing:
            raise UserError(self.missing)

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        assert self.labelled is not None
        rng = np.random.default_rng((self.seed, self.step))
        self.step += 1
        rows = rng.integers(len(self.labelled.action), size=self.batch_size)
        first, count = jax.process_index(), jax.process_count()
        return self.rows(rows[first * self.batch_size // count :][: self.batch_size // count])

    def rows(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Positions of some numbers, unpacked."""
        assert self.labelled is not None
        found = jax.tree.map(lambda x: x[rows], self.labelled)
        return {
            "planes": unpack(self.go, found.planes),
            "action": found.action,
            "outcome": found.outcome,
        }

    def get_state(self) -> dict[str, Any]:
        return {"step": self.step}

    def set_state(self, state: dict[str, Any]) -> None:
        self.step = state["step"]


def unpack(go: Go, packed: np.ndarray) -> np.ndarray:
    """uint8 `[N, H, W, 49]` of packed planes."""
    shape = len(packed), *go.shape, NUM_PLANES + 1
    return np.unpackbits(packed, axis=1)[:, : np.prod(shape[1:])].reshape(shape)


def collect(batches: list[dict[str, jax.Array]], kept: str, first_game: int = 0) -> Labelled:
    """The kept positions of batches of games `[L, N, ...]`, or of single positions `[N, ...]`."""
    parts, game = [], first_game
    for batch in jax.device_get(batches):
        mask = batch[kept]
        games = np.broadcast_to(np.arange(mask.shape[-1]) + game, mask.shape)[mask]
        game += mask.shape[-1]
        action = batch["action"][mask] if "action" in batch else np.zeros(mask.sum())
        parts.append(
            Labelled(
                batch["planes"][mask],
                action.astype(np.int32),
                batch["outcome"][mask].astype(np.float32),
                games.astype(np.int32),
            )
        )
    return jax.tree.map(lambda *xs: np.concatenate(xs), *parts)


def expert_positions(
    go: Go,
    search: TreeSearch,
    variables: Any,
    *,
    explore_plies: int,
    batches: int,
    count: int,
    key: jax.Array,
) -> Labelled:
    """Positions of games that a search plays against itself.

    Args:
      go: the rules.
      search, variables: of the expert.
      explore_plies: of a game, in which moves are drawn; then the most visited one is played.
      batches: of `count` games each.
      count: games that are played together.
      key: of the games.
    """

    def choose(states: Any, key: jax.Array) -> jax.Array:
        search_key, draw_key = jax.random.split(key)
        tree = search(variables, search.init(states), search_key)
        explores = states.plies < explore_plies
        pi = visit_policy(tree.root_visits, jnp.where(explores, 1.0, 0.0))
        return jax.random.categorical(draw_key, jnp.log(pi)).astype(jnp.int32)

    play = jax.jit(lambda key: label_games(go, choose, count, key))
    return collect([play(jax.random.fold_in(key, i)) for i in range(batches)], "kept")


def value_positions(
    go: Go,
    supervised: Choose,
    reinforced: Choose,
    *,
    wanted: int,
    longest_start: int,
    count: int,
    key: jax.Array,
) -> tuple[Labelled, Labelled, Labelled]:
    """Positions to learn values from, in two ways, and a test.

    Args:
      go: the rules.
      supervised, reinforced: p_sigma and p_rho, with drawn moves.
      wanted: positions to learn from.
      longest_start: U is uniform over 1 to this.
      count: games that are played together.
      key: of the games.

    Returns:
      `wanted` positions, one of each game; as many of as few complete games as have them; and a
      quarter as many of other games, one of each.
    """
    test_size = max(wanted // 4, 1)
    single = jax.jit(
        lambda key: one_position_a_game(go, supervised, reinforced, longest_start, count, key)
    )
    batches, found, i = [], 0, 0
    while found < wanted + test_size:
        batches.append(single(jax.random.fold_in(key, i)))
        found, i = found + int(batches[-1]["kept"].sum()), i + 1
    singles = collect(batches, "kept")
    complete = jax.jit(lambda key: label_games(go, reinforced, count, key))
    played = [complete(jax.random.fold_in(key, i + j)) for j in range(1 + wanted // (count * 8))]
    games = collect(played, "ended")
    whole = games.game.argsort(kind="stable")[:wanted]  # game after game
    return (
        jax.tree.map(lambda x: x[:wanted], singles),
        jax.tree.map(lambda x: x[whole], games),
        jax.tree.map(lambda x: x[wanted : wanted + test_size], singles),
    )
