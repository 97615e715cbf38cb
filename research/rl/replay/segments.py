"""Replay of stretches of T steps, as they were played: what returns over several steps of another
policy are computed from (Wang et al., 2016, arXiv:1611.01224, section 3).

A ring holds whole segments, so none reaches over its write head. Of observations of several frames
the newest alone is kept, of the one acted on and of the one that this led to (which another episode
follows where it ended), and stacks are put together when sampled, with zeros before an episode's
first frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.rl.acting.actor import Actors, act
from research.rl.acting.distributions import Distribution
from research.rl.envs.environments import Environment
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
    """The newest segments of every environment; the arrays are a `RingState`.

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
        return Ring(self.capacity // self.num_steps, self.num_envs)

    def init(self, segment: Segment) -> RingState:
        """An empty ring for segments of these arrays or shapes."""
        return self.ring.init(jax.eval_shape(self._packed, segment))

    def add(self, state: RingState, segment: Segment) -> RingState:
        """Writes a segment of every environment over the oldest; in place if the state is
        donated."""
        return self.ring.add(state, self._packed(segment))

    def sample(self, state: RingState, key: jax.Array) -> Segment:
        """A segment of every environment, each of those that it has as likely as any other."""
        row = jax.random.randint(key, (self.num_envs,), 0, state.filled)
        items = jax.tree.map(lambda x: x[row, jnp.arange(self.num_envs)], state.items)
        return self._unpacked(items)

    def _packed(self, segment: Segment) -> dict[str, Any]:
        """Leaves `[N, T, ...]`, and the first observation `[N, ...]`."""
        rest = segment._asdict()
        observation = rest.pop("observation")
        channels = observation.shape[-1] // self.depth
        rest["frame"] = observation[..., -channels:]
        rest["next_observation"] = segment.next_observation[..., -channels:]
        items = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), rest)
        return {**items, "first": observation[0]}

    def _unpacked(self, items: dict[str, Any]) -> Segment:
        first = items.pop("first")
        steps = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), items)
        frame, following = steps.pop("frame"), steps.pop("next_observation")

        def push(stack: jax.Array, frame: jax.Array) -> jax.Array:
            return jnp.concatenate([stack[..., frame.shape[-1] :], frame], axis=-1)

        def body(seen: jax.Array, step: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            next_frame, reset, led_to = step
            reset = reset.reshape(-1, *[1] * (seen.ndim - 1))
            after = push(jnp.where(reset, jnp.zeros_like(seen), seen), next_frame)
            return after, (seen, push(seen, led_to))

        # Of what comes after the last step, in the place of the first frame, no use is made.
        order = jnp.roll(frame, -1, axis=0), steps["reset"], following
        observation, next_observation = jax.lax.scan(body, first, order)[1]
        return Segment(observation=observation, next_observation=next_observation, **steps)
