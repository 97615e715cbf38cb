"""Scenes of a robot among things, and demonstrations: what a policy that imitates them is given."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Scene(NamedTuple):
    """What there is at one moment.

    Attributes:
      robot: `[..., R]`, its own state.
      things: `[..., B, P]`, where each thing is as seen from the robot; 0 where there is none. A
        thing has the same place in this list in a demonstration and in the imitation of it.
      present: `[..., B]` bool.
    """

    robot: jax.Array
    things: jax.Array
    present: jax.Array


class Demonstration(NamedTuple):
    """N demonstrations. Attributes: scenes, leaves `[N, K, ...]`; valid `[N, K]` bool, frames that
    belong to it, all of them before those that do not."""

    scenes: Scene
    valid: jax.Array


def kept_frames(length: int, dropout: float) -> int:
    """How many of `length` frames temporal dropout keeps: 1 - p of them, rounded, at least one."""
    return max(1, int(length * (1 - dropout) + 0.5))


def temporal_dropout(key: jax.Array, demonstration: Demonstration, dropout: float) -> Demonstration:
    """Throws away the share `dropout` of the frames of each demonstration, drawn at random (Duan et
    al., 2017, arXiv:1703.07326, section 4.1). Those left keep their order and come first.

    Args:
      dropout: p; with 0 nothing changes.
    """
    if not dropout:
        return demonstration
    valid = demonstration.valid
    num, length = valid.shape
    max_frames = kept_frames(length, dropout)
    count = jnp.floor(valid.sum(axis=1, keepdims=True) * (1 - dropout) + 0.5).astype(jnp.int32)
    count = jnp.clip(count, 1, max_frames)
    order = jnp.argsort(jax.random.uniform(key, valid.shape) + ~valid, axis=1)
    chosen = jnp.argsort(order, axis=1) < count
    frames = jnp.where(chosen, jnp.arange(length), length)
    frames = jnp.minimum(jnp.sort(frames, axis=1)[:, :max_frames], length - 1)
    scenes = jax.tree.map(lambda x: x[jnp.arange(num)[:, None], frames], demonstration.scenes)
    return Demonstration(scenes, jnp.arange(max_frames) < count)


def last_frame(demonstration: Demonstration) -> Demonstration:
    """The final state alone."""
    rows = jnp.arange(len(demonstration.valid))
    last = jnp.maximum(demonstration.valid.sum(axis=1) - 1, 0)
    scenes = jax.tree.map(lambda x: x[rows, last][:, None], demonstration.scenes)
    return Demonstration(scenes, jnp.ones((len(rows), 1), bool))


def nothing(demonstration: Demonstration) -> Demonstration:
    """A single frame without any information."""
    first = jax.tree.map(lambda x: x[:, :1], demonstration)
    robot, things, present = first.scenes
    blank = Scene(jnp.zeros_like(robot), jnp.zeros_like(things), present)
    return Demonstration(blank, jnp.ones_like(first.valid))
