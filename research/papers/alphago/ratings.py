"""Strength over a run: copies of the network at equal parts of it, and ratings from their games."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.papers.alphago.go_demo import watch
from research.papers.alphago.players import SEARCH, BoardPlayers, Contestant
from research.report.curves import draw_curves
from research.rl import matches


class Snapshots:
    """Copies of variables at the end of each of `count` equal parts of a run; 0 for none.

    Args:
      count: K.
      num_steps: of the run.
    """

    def __init__(self, count: int, num_steps: int):
        self.count, self.num_steps = count, num_steps

    def init(self, variables: Any) -> Any:
        """Room `[K, ...]`, filled with the first variables."""
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (self.count, *x.shape)).copy(), variables)

    def keep(self, snapshots: Any, variables: Any, t: jax.Array) -> Any:
        """The copies after step t: with the variables, if a part of the run ends there."""
        if not self.count:
            return snapshots
        place = (t + 1) * self.count // self.num_steps - 1
        now = ((t + 1) * self.count) % self.num_steps < self.count
        place = jnp.where(now, place, self.count)
        return jax.tree.map(
            lambda all_, x: all_.at[place].set(x, mode="drop"), snapshots, variables
        )


def rate(
    stages: Sequence[Any],
    match: Callable[[Any, Any, jax.Array], matches.Score],
    key: jax.Array,
) -> dict[str, float]:
    """Elo ratings of a network's stages, from matches of each with the next.

    Args:
      stages: variables, the untrained ones first: their rating is 0.
      match: `(later, earlier, key) -> Score` of the later one.
      key: of the matches.

    Returns:
      "elo/000" to "elo/100", by the percentage of the run.
    """
    parts = len(stages) - 1
    points, games = np.zeros((2, parts + 1, parts + 1))
    for old, new in zip(range(parts), range(1, parts + 1), strict=True):
        score = match(stages[new], stages[old], jax.random.fold_in(key, new))
        games[new, old] = games[old, new] = score.games
        points[new, old] = score.mean * score.games
        points[old, new] = score.games - points[new, old]
    ratings = matches.fit_elo(points, games)
    return {f"elo/{100 * i // max(parts, 1):03d}": float(x) for i, x in enumerate(ratings)}


def measure_strength(
    players: BoardPlayers,
    snapshots: Any,
    plies: int,
    workdir: Path,
    key: jax.Array,
    *,
    watched: bool,
) -> dict[str, float]:
    """Ratings of a run's snapshots, with their picture; "elo/000" to "elo/100".

    Args:
      players: of the network.
      snapshots: of `Snapshots`.
      plies: of self-play in the whole run.
      workdir: where the picture goes, and a game of the newest snapshot against the first.
      key: of the matches.
      watched: whether that game is played.
    """
    count = len(jax.tree.leaves(snapshots)[0])
    kept = [jax.tree.map(lambda x, i=i: x[i], snapshots) for i in range(count)]
    stages = [Contestant(SEARCH, variables) for variables in (players.untrained(), *kept)]
    ratings = rate(stages, players.match, key)
    if jax.process_index() == 0:
        draw_ratings(workdir / "elo.png", [ratings], plies)
        if watched:
            watch(players, stages[-1], stages[1], workdir / "newest_against_first.sgf")
    return ratings


def draw_ratings(path: Path, runs: Sequence[Mapping[str, float]], plies: int) -> None:
    """Draws the ratings of one run, or of several seeds, over the plies that were played.

    Args:
      path: PNG to write.
      runs: numbers of runs; what begins with "elo/" is drawn.
      plies: of self-play in a whole run.
    """
    curves = []
    for numbers in runs:
        ratings = {k.removeprefix("elo/"): v for k, v in numbers.items() if k.startswith("elo/")}
        xs = [plies * int(percent) / 100 for percent in ratings]
        curves.append((xs, list(ratings.values())))
    title = "Strength over the run, the untrained network's search at 0"
    draw_curves(path, {"search": curves}, title=title, x="plies of self-play", y="Elo")
