"""Replay of whole items on the device: transitions `(s, a, r, s')`, or episodes.

It is for observations that are small vectors. `frames` is for images: it keeps every frame once.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp


class Transition(NamedTuple):
    """B steps.

    Attributes:
      observation: `[B, D]`.
      action: `[B, A]`, or `[B]` where discrete.
      reward: `[B]`.
      terminated: `[B]` bool: no value follows.
      next_observation: `[B, D]`, what the step led to, before any reset.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    next_observation: jax.Array


class RingState(flax.struct.PyTreeNode):
    """Items of N environments in R rows.

    Attributes:
      items: pytree of `[R, N, ...]`.
      head: int32 scalar, the row that is written next.
      filled: int32 scalar, how many rows hold something.
    """

    items: Any
    head: jax.Array
    filled: jax.Array


@dataclasses.dataclass(frozen=True)
class Ring:
    """Holds the newest items, N of which are added at a time; the arrays are a `RingState`.

    Attributes:
      capacity: items held; what is over a multiple of N is not used.
      num_envs: N.
    """

    capacity: int
    num_envs: int

    @property
    def rows(self) -> int:
        """R: how many times N items fit."""
        return self.capacity // self.num_envs

    def init(self, items: Any) -> RingState:
        """An empty ring for items whose arrays or shapes are `[N, ...]`."""
        empty = jax.tree.map(lambda x: jnp.zeros((self.rows, *x.shape), x.dtype), items)
        return RingState(empty, jnp.int32(0), jnp.int32(0))

    def add(self, state: RingState, items: Any) -> RingState:
        """Writes N items over the oldest; in place where the state is donated."""
        written = jax.tree.map(
            lambda ring, x: jax.lax.dynamic_update_index_in_dim(ring, x, state.head, 0),
            state.items,
            items,
        )
        filled = jnp.minimum(state.filled + 1, self.rows)
        return RingState(written, (state.head + 1) % self.rows, filled)

    def draw(self, state: RingState, key: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
        """Rows `[B]` and environments `[B]` of items, each as likely as any other."""
        place = jax.random.randint(key, (size,), 0, state.filled * self.num_envs)
        return place // self.num_envs, place % self.num_envs

    def sample(self, state: RingState, key: jax.Array, size: int) -> Any:
        """Draws `size` items with replacement: leaves `[B, ...]`."""
        row, env = self.draw(state, key, size)
        return jax.tree.map(lambda x: x[row, env], state.items)
