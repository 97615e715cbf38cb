"""Tracks with obstacles, as height fields: hurdles, gaps, platforms, walls and slaloms.

The terrain of Heess et al. 2017 (arXiv:1707.02286, section 3), whose obstacles grow along a track
so that it is its own curriculum; sizes are ours. A track has a stretch of flat ground, then an
obstacle in every `pitch` metres, its place, kind and size drawn anew. An obstacle of difficulty d,
from 0 to 1, is

- "hurdles": a bar across the track, 0.05 + 0.4 d high, to be jumped or climbed;
- "gaps": a hole across it, 0.2 + 0.7 d wide;
- "platforms": a step of 0.05 + 0.35 d up, and down again 1.2 to 2 m later;
- "steps": three steps up, each half as high as a platform, and two down;
- "walls": a wall from one side, drawn at random, over 0.3 + 0.3 d of the width, to be passed;
- "slalom": the same over 0.5 + 0.15 d of it, from the left and the right in turn.

Heights are known at points `CELL` apart and linear between them, so that what looks upright is a
slope over one cell. Lengths are in metres.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError

CELL = 0.1
START = 3.0  # where bodies begin; the ground is flat up to `_FIRST`
_FIRST = 5.0
PIT = -1.5  # the bottom of a gap
_WALL = 1.2  # height
ACROSS = ("hurdles", "gaps", "platforms", "steps")
SIDED = ("walls", "slalom")  # for bodies that can turn


@dataclasses.dataclass(frozen=True, eq=False)
class Tracks:
    """Height fields.

    Attributes:
      heights: `[tracks, rows, columns]` float32. Rows lie across a track, from its right side (y =
        -width / 2) to its left, columns along it, both `CELL` apart.
    """

    heights: np.ndarray

    @property
    def length(self) -> float:
        return CELL * (self.heights.shape[2] - 1)

    @property
    def width(self) -> float:
        return CELL * (self.heights.shape[1] - 1)

    def profile(self, track: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Height and slope along a track of one row; beyond its ends as at them.

        Args:
          track: `[]` int.
          x: `[...]`.
        """
        columns = self.heights.shape[2]
        place = jnp.clip(x / CELL, 0, columns - 1.001)
        left = place.astype(jnp.int32)
        flat = jnp.asarray(self.heights).reshape(-1)
        at = track * columns + left
        low, high = flat[at], flat[at + 1]
        return low + (high - low) * (place - left), (high - low) / CELL

    def surface(self, track: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        """Height, bilinear between points; arguments as of `profile`, y from the middle line."""
        _, rows, columns = self.heights.shape
        place = jnp.clip(x / CELL, 0, columns - 1.001)
        side = jnp.clip((y + self.width / 2) / CELL, 0, rows - 1.001)
        i, j = side.astype(jnp.int32), place.astype(jnp.int32)
        flat = jnp.asarray(self.heights).reshape(-1)
        at = (track * rows + i) * columns + j
        near = flat[at] + (flat[at + 1] - flat[at]) * (place - j)
        at += columns
        far = flat[at] + (flat[at + 1] - flat[at]) * (place - j)
        return near + (far - near) * (side - i)


def make_tracks(
    seed: int,
    count: int,
    kinds: Sequence[str],
    difficulty: tuple[float, float],
    length: float,
    *,
    width: float = 0.0,
    pitch: float = 3.5,
) -> Tracks:
    """Draws tracks from a seed: the same seed, the same tracks.

    Args:
      seed: of the tracks.
      count: how many.
      kinds: of obstacles, each as likely; none for flat ground.
      difficulty: at a track's start and at its end, rising in between; (d, d): as hard all along.
      length: of a track.
      width: of a track; 0 for tracks of one row, for bodies in the plane.
      pitch: from one obstacle to the next.

    Raises:
      UserError: an unknown kind, or one that bodies in the plane cannot pass.
    """
    unknown = [kind for kind in kinds if kind not in (*ACROSS, *SIDED)]
    if unknown:
        raise UserError(f"terrain has {', '.join((*ACROSS, *SIDED))}; not {unknown[0]!r}")
    if not width and set(kinds) & set(SIDED):
        raise UserError(f"{' and '.join(SIDED)} are for bodies that can turn, not for the plane")
    rng = np.random.default_rng([seed, 1707_02286])
    x = CELL * np.arange(round(length / CELL) + 1, dtype=np.float32)[None, None]
    across = np.linspace(0, 1, round(width / CELL) + 1, dtype=np.float32)[None, :, None]
    heights = np.zeros((count, across.shape[1], x.shape[2]), np.float32)
    left = rng.random((count, 1, 1)) < 0.5
    for slot in np.arange(_FIRST, length - pitch, pitch) if kinds else ():

        def draw(low: float, high: float) -> np.ndarray:
            return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)

        begin = slot + draw(0, 1)
        d = difficulty[0] + (difficulty[1] - difficulty[0]) * begin / length
        kind = rng.integers(len(kinds), size=(count, 1, 1))
        deck, random_side, run = draw(1.2, 2.0), draw(0, 1) < 0.5, draw(0.4, 0.6)
        left = ~left
        columns = slice(int(slot / CELL), int((slot + pitch) / CELL))
        way = x[:, :, columns] - begin
        climb = np.array([0, 1, 2, 3, 1, 0])[np.clip(np.floor(way / run) + 1, 0, 5).astype(int)]
        shapes = {  # height, extent along the track, and where across it
            "hurdles": (0.05 + 0.4 * d, 0.25, np.True_),
            "gaps": (PIT, 0.2 + 0.7 * d, np.True_),
            "platforms": (0.05 + 0.35 * d, deck, np.True_),
            "steps": ((0.05 + 0.35 * d) / 2 * climb, 4 * run, np.True_),
            "walls": (_WALL, 0.4, np.where(random_side, across, 1 - across) <= 0.3 + 0.3 * d),
            "slalom": (_WALL, 0.4, np.where(left, across, 1 - across) <= 0.5 + 0.15 * d),
        }
        part = heights[:, :, columns]
        for i, name in enumerate(kinds):
            height, extent, where = shapes[name]
            here = (kind == i) & (way >= 0) & (way < extent) & where
            part[...] = np.where(here, height, part)
    return Tracks(heights)
