"""Bodies on terrain by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from research.core.errors import check_choice
from research.papers.locomotion_ppo.mjx_track import BODIES, MJXTrack, load_engine
from research.papers.locomotion_ppo.planar_track import PlanarTrack
from research.papers.locomotion_ppo.terrain import Tracks, make_tracks
from research.papers.locomotion_ppo.tracks import OnTracks
from research.rl.envs import probe_envs
from research.rl.envs.environments import Environment, Vectorized

PLANAR = "planar_walker"
NAMES = (PLANAR, *BODIES, *probe_envs.CONTINUOUS_PROBES)


def is_probe(name: str) -> bool:
    """Whether a name is no body's, but that of an environment with known values."""
    return name in probe_envs.CONTINUOUS_PROBES


def make_body(
    name: str,
    *,
    kinds: Sequence[str],
    difficulty: tuple[float, float],
    count: int,
    seed: int,
    length: float,
    width: float,
    horizon: int,
    blind: bool,
) -> OnTracks:
    """Puts a body on tracks that are drawn from a seed.

    Args:
      name: of the body.
      kinds: of the obstacles; none for flat ground.
      difficulty: of the obstacles at a track's start and its end, from 0 to 1.
      count: number of tracks.
      seed: of the tracks.
      length, width: of a track, in metres; the width for bodies that can leave the plane.
      horizon: steps after which an episode is truncated.
      blind: without exteroception.

    Raises:
      UserError: an unknown body or kind of obstacle, one that the body cannot pass, or no engine
        for it.
    """
    check_choice("env.name", name, NAMES)
    planar = name == PLANAR
    if not planar:
        load_engine()  # or its absence is said here, before anything is built
    start, end = difficulty
    width = 0.0 if planar else width
    tracks = make_tracks(seed, count, tuple(kinds), (start, end), length, width=width)
    if planar:
        return PlanarTrack(tracks, horizon, blind)
    return MJXTrack(tracks, horizon, blind, name)


def join_tracks(bodies: Sequence[OnTracks]) -> OnTracks:
    """The first of several bodies, all alike, on the tracks of all of them, in their order."""
    every = Tracks(np.concatenate([body.tracks.heights for body in bodies]))
    return dataclasses.replace(bodies[0], tracks=every)


def count_exteroception(env: Environment) -> int:
    """Numbers at the end of an environment's observation that are exteroception."""
    body = env.env if isinstance(env, Vectorized) else env
    return body.exteroception if isinstance(body, OnTracks) else 0
