"""Replay of experience on the device: every frame once, as uint8, in one ring per environment.

A row of a ring is one step: the newest frame of the observation, action, reward, and whether the
step terminated. Observations of several frames are put together from neighbouring rows when
sampled, with zeros before an episode's first frame. The row after the newest step always holds the
frame that step led to. Where an episode is truncated that row is kept, so that its value can
still be bootstrapped from; it holds no transition, and such rows (one for each truncation) have
weight zero when sampled.

Nothing is sampled across a ring's write head. Rings are written in place when the state is donated;
do not carry them through `lax.cond` or a `select`, which copy them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from research.rl.returns import n_step


class ReplayState(flax.struct.PyTreeNode):
    """Rings of N environments with C rows each.

    Attributes:
      frames: `[N, C, H * W * channels]` uint8.
      action: `[N, C]` uint8.
      reward: `[N, C]` float32.
      terminated: `[N, C]` bool.
      first: `[N, C]` bool, the row's frame begins an episode.
      transition: `[N, C]` bool, a step was taken from this row.
      head: `[N]` int32, the row that the next step is written to.
      filled: `[N]` int32, rows that hold something, at most C - 1 (one is the row after the
        newest).
      begins: `[N]` bool, the next step begins an episode.
    """

    frames: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    first: jax.Array
    transition: jax.Array
    head: jax.Array
    filled: jax.Array
    begins: jax.Array


class Batch(NamedTuple):
    """B transitions to learn from, in which n steps count as one.

    Attributes:
      observation: `[B, H, W, stack * channels]` uint8.
      action: `[B]` int32.
      reward: `[B]` float32, the n-step sum.
      discount: `[B]` float32, of the next observation's value; 0 after termination.
      next_observation: `[B, H, W, stack * channels]` uint8.
      weight: `[B]` float32, importance weights; 0 for what must not count.
      slot: `[B, 2]` int32, environment and row.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_observation: jax.Array
    weight: jax.Array
    slot: jax.Array


@dataclasses.dataclass(frozen=True)
class Replay:
    """Writes rings of experience and reads transitions; the arrays are a `ReplayState`.

    Attributes:
      num_envs: number of rings, N.
      capacity: transitions held by all rings together.
      frame_shape: (H, W, channels) of one frame.
      stack: frames in an observation.
      n_steps: steps in a return.
      gamma: discount of one step.
    """

    num_envs: int
    capacity: int
    frame_shape: tuple[int, int, int]
    stack: int
    n_steps: int
    gamma: float

    @property
    def rows(self) -> int:
        """Rows of one ring: its share of the capacity, and the row after the newest step."""
        return self.capacity // self.num_envs + 1

    def init(self) -> ReplayState:
        """Empty rings."""
        n, c = self.num_envs, self.rows
        height, width, channels = self.frame_shape
        return ReplayState(
            frames=jnp.zeros((n, c, height * width * channels), jnp.uint8),
            action=jnp.zeros((n, c), jnp.uint8),
            reward=jnp.zeros((n, c), jnp.float32),
            terminated=jnp.zeros((n, c), bool),
            first=jnp.zeros((n, c), bool),
            transition=jnp.zeros((n, c), bool),
            head=jnp.zeros((n,), jnp.int32),
            filled=jnp.zeros((n,), jnp.int32),
            begins=jnp.ones((n,), bool),
        )

    def add(
        self,
        state: ReplayState,
        frame: jax.Array,
        action: jax.Array,
        reward: jax.Array,
        terminated: jax.Array,
        ended: jax.Array,
        next_frame: jax.Array,
    ) -> ReplayState:
        """Adds one step of every environment.

        Args:
          state: donated by the caller, for this is done in place.
          frame: `[N, H, W, channels]` uint8, newest frame of the observation acted on.
          action: `[N]`.
          reward: `[N]`.
          terminated: `[N]` bool: no value follows, as where a life counts as an episode.
          ended: `[N]` bool: the next step begins an episode (terminated or truncated).
          next_frame: `[N, H, W, channels]`, what the step led to, before any reset.
        """
        head, after = state.head, (state.head + 1) % self.rows
        true, false = jnp.ones_like(ended), jnp.zeros_like(ended)
        kept = ended & ~terminated  # the row after a truncated episode is not written over
        return ReplayState(
            frames=_put(_put(state.frames, head, _flat(frame)), after, _flat(next_frame)),
            action=_put(state.action, head, action.astype(jnp.uint8)),
            reward=_put(state.reward, head, reward),
            terminated=_put(_put(state.terminated, head, terminated), after, false),
            first=_put(_put(state.first, head, state.begins), after, false),
            transition=_put(_put(state.transition, head, true), after, false),
            head=(head + 1 + kept) % self.rows,
            filled=jnp.minimum(state.filled + 1 + kept, self.rows - 1),
            begins=ended,
        )

    def limits(self, state: ReplayState) -> tuple[jax.Array, jax.Array]:
        """Ages that may be sampled, `[N]` each: from `low` to below `high`; the oldest row is 0.

        At the old end a full ring lacks the frames of a whole stack, at the new end the steps of a
        whole return. There is nothing to sample while `high` is not above `low`.
        """
        low = jnp.where(state.filled == self.rows - 1, self.stack - 1, 0)
        return low, state.filled - self.n_steps + 1

    def at_age(self, state: ReplayState, env: jax.Array, age: jax.Array) -> jax.Array:
        """Slots `[B, 2]` of the steps of an age `[B]` in environments `[B]`."""
        row = (state.head[env] - state.filled[env] + age) % self.rows
        return jnp.stack([env, row], axis=1)

    def eligible(self, state: ReplayState, slot: jax.Array) -> jax.Array:
        """Whether an n-step return can start at slots `[B, 2]`: bool `[B]`."""
        env, row = slot[:, 0], slot[:, 1]
        age = (row - state.head[env] + state.filled[env]) % self.rows
        low, high = self.limits(state)
        return state.transition[env, row] & (age >= low[env]) & (age < high[env])

    def gather(self, state: ReplayState, slot: jax.Array) -> Batch:
        """Transitions that begin at slots `[B, 2]`; weight 0 where there is none to be had."""
        env, row = slot[:, 0], slot[:, 1]
        window = (row[:, None] + jnp.arange(self.n_steps)) % self.rows  # [B, n]
        at = env[:, None], window
        returns = n_step(state.reward[at], state.terminated[at], state.transition[at], self.gamma)
        return Batch(
            observation=self._stacked(state, env, row),
            action=state.action[env, row].astype(jnp.int32),
            reward=returns.reward,
            discount=returns.discount,
            next_observation=self._stacked(state, env, (row + returns.length) % self.rows),
            weight=self.eligible(state, slot).astype(jnp.float32),
            slot=slot,
        )

    def _stacked(self, state: ReplayState, env: jax.Array, row: jax.Array) -> jax.Array:
        """Observations `[B, H, W, stack * channels]` whose newest frame is in `row` `[B]`."""
        back = jnp.arange(self.stack - 1, -1, -1)
        at = env[:, None], (row[:, None] - back) % self.rows
        frames, first = state.frames[at], state.first[at]  # [B, stack, H * W * C], [B, stack]

        # A frame is of this episode unless a later one, or the newest, is an episode's first:
        # the sum from the right counts those from a frame on, less the frame itself.
        firsts_later = jnp.cumsum(first[:, ::-1], axis=1)[:, ::-1] - first
        frames = jnp.where((firsts_later > 0)[..., None], 0, frames)

        # Frames lie flat in the ring; in an observation they are its channels, oldest first.
        height, width, channels = self.frame_shape
        frames = frames.reshape(-1, self.stack, height, width, channels)  # [B, stack, H, W, C]
        frames = jnp.moveaxis(frames, 1, 3)  # [B, H, W, stack, C]
        return frames.reshape(-1, height, width, self.stack * channels)


class Uniform:
    """Samples every transition as often as any other; the base of the samplers.

    Args:
      replay: what is sampled from.
    """

    def __init__(self, replay: Replay):
        self.replay = replay

    def init(self) -> Any:
        """Priorities of an empty replay: any pytree of arrays."""
        return ()

    def added(self, priorities: Any, state: ReplayState) -> Any:
        """Takes in what `Replay.add` wrote; to be called after each, with the state it made."""
        return priorities

    def sample(
        self,
        priorities: Any,
        state: ReplayState,
        key: jax.Array,
        size: int,
        beta: float | jax.Array,
    ) -> Batch:
        """A batch of `size` transitions.

        Args:
          priorities: from `init`, `added` and `update`.
          state: the replay.
          key: for what is random.
          size: B.
          beta: exponent of the importance weights, where priorities differ.
        """
        env_key, age_key = jax.random.split(key)
        env = jax.random.randint(env_key, (size,), 0, self.replay.num_envs)
        low, high = self.replay.limits(state)
        age = jax.random.randint(age_key, (size,), low[env], high[env])
        return self.replay.gather(state, self.replay.at_age(state, env, age))

    def update(self, priorities: Any, batch: Batch, td_error: jax.Array) -> Any:
        """Takes in the TD errors `[B]` of a sampled batch."""
        return priorities


class Newest(Uniform):
    """Does without replay: samples the newest transitions, equally many of every environment."""

    def sample(
        self,
        priorities: Any,
        state: ReplayState,
        key: jax.Array,
        size: int,
        beta: float | jax.Array,
    ) -> Batch:
        i = jnp.arange(size)
        env = i % self.replay.num_envs
        age = self.replay.limits(state)[1][env] - 1 - i // self.replay.num_envs
        return self.replay.gather(state, self.replay.at_age(state, env, age))


def _flat(frames: jax.Array) -> jax.Array:
    return frames.reshape(frames.shape[0], -1)


def _put(ring: jax.Array, row: jax.Array, value: jax.Array) -> jax.Array:
    """`ring[i, row[i]] = value[i]` in place, on every device its own environments."""
    return jax.vmap(lambda r, i, v: jax.lax.dynamic_update_index_in_dim(r, v, i, 0))(
        ring, row, value
    )
