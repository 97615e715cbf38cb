"""Bodies on terrain by name, as `config.env` and `config.terrain` describe them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from research.core.errors import check_choice
from research.papers.locomotion_ppo.mjx_track import BODIES, MJXTrack, load_engine
from research.papers.locomotion_ppo.planar_track import PlanarTrack
from research.papers.locomotion_ppo.terrain import Tracks, make_tracks
from research.papers.locomotion_ppo.tracks import OnTracks
from research.rl.envs import probe_envs
from research.rl.envs.environments import Vectorized

PLANAR = "planar_walker"
NAMES = (PLANAR, *BODIES, *probe_envs.CONTINUOUS_PROBES)


def make_body(
    env: ConfigDict,
    terrain: ConfigDict,
    kinds: Sequence[str],
    difficulty: Sequence[float],
    count: int,
    seed: int,
) -> OnTracks:
    """The body `env.name` on `count` tracks drawn from a seed, each `terrain.length` long.

    Raises:
      UserError: an unknown body or kind of obstacle, one that the body cannot pass, or no engine
        for it.
    """
    check_choice("env.name", env.name, NAMES)
    planar = env.name == PLANAR
    if not planar:
        load_engine()  # or its absence is said here, before anything is built
    width = 0.0 if planar else terrain.width
    start, end = difficulty
    tracks = make_tracks(seed, count, tuple(kinds), (start, end), terrain.length, width=width)
    if planar:
        return PlanarTrack(tracks, env.horizon, env.blind)
    return MJXTrack(tracks, env.horizon, env.blind, env.name)


def training_environment(env: ConfigDict, terrain: ConfigDict) -> Vectorized:
    """`env.num_envs` copies of the body on `terrain`, or of a probe."""
    if env.name in probe_envs.CONTINUOUS_PROBES:
        return probe_envs.make(env.name, env.num_envs)
    body = make_body(env, terrain, terrain.kinds, terrain.difficulty, terrain.tracks, terrain.seed)
    return Vectorized(body, env.num_envs)


def test_body(env: ConfigDict, terrain: ConfigDict, evaluation: ConfigDict) -> OnTracks | None:
    """The body on `evaluation.tracks` tracks of each of `evaluation.terrains`, in their order; none
    for a probe."""
    if env.name in probe_envs.CONTINUOUS_PROBES:
        return None
    bodies = [
        make_body(env, terrain, kinds, difficulty, evaluation.tracks, evaluation.seed)
        for kinds, difficulty in evaluation.terrains.values()
    ]
    every = Tracks(np.concatenate([body.tracks.heights for body in bodies]))
    return dataclasses.replace(bodies[0], tracks=every)


def sensed(env: Vectorized) -> int:
    """How many numbers at the end of an observation are exteroception."""
    return env.env.exteroception if isinstance(env.env, OnTracks) else 0
