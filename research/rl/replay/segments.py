"""Replay of stretches of T steps, as they were played.

They are what returns over several steps of another policy are computed from (Wang et al., 2016,
arXiv:1611.01224, section 3). A ring holds whole segments, so none reaches over its write head. Of
observations of several frames the newest alone is kept, of the one acted on and of the one that
this led to (which another episode follows where it ended), and stacks are put together when
sampled, with zeros before an episode's first frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.rl.acting.actor import Actors, act
from research.rl.acting.distributions import Distribution
from research.rl.envs.environments import Environment, push_frame
from research.rl.replay.transitions import Ring, RingState


class Segment(NamedTuple):
    """T steps of every environment: leaves `[T, N, ...]`, as in `Experience`.

    Attributes:
      observation: acted on.
      action: what was done.
      policy: the distributions that it was drawn from.
      reward: to learn from.
      terminated: bool, nothing of value follows.
      truncated: bool, the episode was cut; the value of `next_observation` still counts.
      reset: bool, the game's episode is over: the next frame is another one's first.
      next_observation: what the step led to, before any reset.
    """

    observation: jax.Array
    action: jax.Array
    policy: Distribution
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    reset: jax.Array
    next_observation: jax.Array

    @property
    def done(self) -> jax.Array:
        """The episode is over for learning; true wherever `reset` is."""
        return self.terminated | self.truncated


def collect_segment(
    env: Environment,
    actors: Actors,
    policy: Callable[[jax.Array], Distribution],
    key: jax.Array,
    num_steps: int,
    *,
    reward_clip: float = 0.0,
    life_loss_ends: bool = False,
    batch: Any = None,
) -> tuple[Actors, Segment, dict[str, jax.Array]]:
    """Collects the next segment.

    Args:
      env: the environments.
      actors: where they stand.
      policy: observations `[N, ...]` to distributions.
      key: of this segment.
      num_steps: T.
      reward_clip, life_loss_ends: as of `actor.act`.
      batch: from the environment's `source`.

    Returns:
      The actors after it; the segment; and `train/return`, the mean return of the episodes that
      ended in it (NaN for none).
    """

    def sample(observation: jax.Array, key: jax.Array) -> tuple[jax.Array, Distribution]:
        distribution = policy(observation)
        return distribution.sample(key), distribution

    def body(actors: Actors, key: jax.Array) -> tuple[Actors, tuple[Segment, jax.Array]]:
        actors, step = act(
            env, actors, sample, key, reward_clip=reward_clip, life_loss_ends=life_loss_ends
        )
        fields = {name: getattr(step, name) for name in Segment._fields}
        return actors, (Segment(**fields), step.episode_return)

    keys = jax.random.split(key, num_steps)
    actors, (segment, returns) = jax.lax.scan(body, actors.receive(env, batch), keys)
    return actors, segment, {"train/return": jnp.nanmean(returns)}


@dataclasses.dataclass(frozen=True)
class Segments:
    """Holds the newest segments of every environment; the arrays are a `RingState`.

    Attributes:
      num_envs: N.
      num_steps: T.
      capacity: steps held, of all environments together.
      depth: frames in an observation, stacked along its last axis.
    """

    num_envs: int
    num_steps: int
    capacity: int
    depth: int

    @property
    def ring(self) -> Ring:
        """Rows of one segment of each environment."""
        return Ring(self.capacity // self.num_steps, self.num_envs)

    def init(self, segment: Segment) -> RingState:
        """An empty ring for segments of these arrays or shapes."""
        return self.ring.init(jax.eval_shape(self._packed, segment))

    def add(self, state: RingState, segment: Segment) -> RingState:
        """Writes a segment of every environment over the oldest.

        This is done in place if the state is donated.
        """
        return self.ring.add(state, self._packed(segment))

    def sample(self, state: RingState, key: jax.Array) -> Segment:
        """Draws a segment of every environment, each that it has as likely as any other."""
        row = jax.random.randint(key, (self.num_envs,), 0, state.filled)
        # From leaves [R, N, T, ...], for environment n that of row[n]: [N, T, ...].
        items = jax.tree.map(lambda x: x[row, jnp.arange(self.num_envs)], state.items)
        return self._unpacked(items)

    def _packed(self, segment: Segment) -> dict[str, Any]:
        """A row of the ring: leaves `[N, T, ...]`, and the whole first observation `[N, ...]`."""
        steps = segment._asdict()
        observation = steps.pop("observation")
        channels = observation.shape[-1] // self.depth
        steps["frame"] = observation[..., -channels:]
        steps["next_frame"] = steps.pop("next_observation")[..., -channels:]
        items = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), steps)  # [T, N, ...] to [N, T, ...]
        return {**items, "first_observation": observation[0]}

    def _unpacked(self, items: dict[str, Any]) -> Segment:
        """The inverse of `_packed`: frames are stacked again, step by step."""
        first_observation = items.pop("first_observation")
        steps = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), items)  # [N, T, ...] to [T, N, ...]
        frame, next_frame = steps.pop("frame"), steps.pop("next_frame")

        def body(
            observation: jax.Array, step: tuple[jax.Array, ...]
        ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            frame_after, reset, next_frame = step
            # What the step led to and what is acted on next are two things where it ended.
            next_observation = push_frame(observation, next_frame)
            observation_after = push_frame(observation, frame_after, first=reset)
            return observation_after, (observation, next_observation)

        # Rolled, frames are those acted on one step later. What comes after the last step, where
        # the first frame now is, is in the carry alone and not used.
        xs = jnp.roll(frame, -1, axis=0), steps["reset"], next_frame
        _, (observation, next_observation) = jax.lax.scan(body, first_observation, xs)
        return Segment(observation=observation, next_observation=next_observation, **steps)
