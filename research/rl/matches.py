"""Matches between two players of a board game, and the strength of several from their matches.

A player is a function `(variables, states [N], key) -> actions [N]`. Every opening is played twice,
with both colours: who has the better side has it as often as the other, and two players that are
the same score exactly one half against each other, if nothing in them is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.rl.envs.board_games import BoardGame
from research.rl.tree_search import ILLEGAL

Player = Callable[[Any, Any, jax.Array], jax.Array]


class Score(NamedTuple):
    """A match's result.

    Attributes:
      mean: of the first player, 1 for a win, 1/2 for a draw, 0 for a loss.
      error: its standard error, from the spread of the openings' pairs of games.
      games: how many were played.
    """

    mean: float
    error: float
    games: int


def random_openings(game: BoardGame, key: jax.Array, count: int, plies: int) -> Any:
    """Positions `[count]` after random moves on the board, one after the other."""

    def move(states: Any, key: jax.Array) -> tuple[Any, None]:
        return jax.vmap(game.play)(states, random_player(game)(None, states, key)), None

    start = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), game.init())
    return jax.lax.scan(move, start, jax.random.split(key, plies))[0]


def random_player(game: BoardGame) -> Player:
    """Plays any legal move, each as likely; in Go it never passes while it can move."""
    passing = getattr(game, "passing", None)

    def choose(variables: Any, states: Any, key: jax.Array) -> jax.Array:
        logits = jnp.where(states.legal, 0.0, 2 * ILLEGAL)
        if passing is not None:
            logits = logits.at[:, passing].set(ILLEGAL)
        return jax.random.categorical(key, logits)

    return choose


def play_match(
    game: BoardGame,
    first: Player,
    second: Player,
    variables: tuple[Any, Any],
    openings: Any,
    key: jax.Array,
) -> jax.Array:
    """Plays every opening with both colours; pure, to be jitted.

    Args:
      game: what is played.
      first, second: the players. Where they are the same function it is compiled once.
      variables: of the two.
      openings: positions `[N]`, all after equally many plies.
      key: of the players' choices.

    Returns:
      `[N, 2]`, 1, 1/2 or 0 for the first player: with the colour to move in the openings, and with
      the other one.
    """
    count = len(openings.over)
    # Group 0 has the first player to move, group 1 the second; a ply later it is the other way.
    groups = jax.tree.map(lambda x: jnp.stack([x, x]), openings)

    def ply(carry: tuple[Any, jax.Array, jax.Array]) -> tuple[Any, jax.Array, jax.Array]:
        groups, ply, swapped = carry
        keys = jax.random.split(jax.random.fold_in(key, ply), 2)
        order = jnp.where(swapped, jnp.array([1, 0]), jnp.array([0, 1]))
        moving = jax.tree.map(lambda x: x[order], groups)  # [first's games, second's games]
        if first is second:
            both = jax.tree.map(lambda *xs: jnp.stack(xs), *variables)
            actions = jax.lax.map(lambda xs: first(*xs), (both, moving, keys))
        else:
            own, other = (jax.tree.map(lambda x, i=i: x[i], moving) for i in range(2))
            actions = jnp.stack(
                [first(variables[0], own, keys[0]), second(variables[1], other, keys[1])]
            )
        groups = jax.vmap(jax.vmap(game.play))(groups, actions[order])
        return groups, ply + 1, ~swapped

    start = groups, jnp.int32(0), jnp.bool_(False)
    groups, _, _ = jax.lax.while_loop(lambda carry: ~carry[0].over.all(), ply, start)
    # Whom the openings give the move is +1 in group 0 and -1 in group 1.
    colour = openings.player * jnp.array([[1], [-1]])
    won = groups.outcome * colour
    return ((won.T + 1) / 2).reshape(count, 2)


def summarize(points: np.ndarray) -> Score:
    """The score of a match from the points `[N, 2]` of the first player."""
    pairs = np.asarray(points, float).mean(axis=1)
    error = pairs.std(ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.nan
    return Score(float(pairs.mean()), float(error), 2 * len(pairs))


def fit_elo(points: np.ndarray, games: np.ndarray, prior_games: float = 1.0) -> np.ndarray:
    """Elo ratings that make scores most likely: P[i beats j] = 1 / (1 + 10^((R_j - R_i) / 400)).

    Args:
      points: `[n, n]`, points of player i against player j.
      games: `[n, n]`, games between them, symmetric.
      prior_games: drawn games added between players that met, so that who never lost a game has a
        finite rating.

    Returns:
      `[n]`, the first player's is 0. Players without a chain of matches to the first have NaN.
    """
    met = games > 0
    points = points + np.where(met, prior_games / 2, 0)
    games = games + np.where(met, prior_games, 0)
    count = len(points)
    connected = np.linalg.matrix_power(met + np.eye(count), count)[0] > 0
    strength = np.zeros(count)
    for _ in range(100):  # Newton's method on a concave likelihood
        expected = 1 / (1 + np.exp(strength[None] - strength[:, None]))
        gradient = (points - games * expected).sum(axis=1)
        weight = games * expected * (1 - expected)
        hessian = np.diag(weight.sum(axis=1)) - weight
        free = connected.copy()
        free[0] = False
        step = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        strength[free] += np.clip(step, -2, 2)
        if np.abs(step).max(initial=0) < 1e-9:
            break
    return np.where(connected, strength * 400 / np.log(10), np.nan)
