"""Replay of the newest steps of every actor: sequences that begin anywhere, and short histories.

Half of the histories led to a reward (Jaderberg et al., 2016, arXiv:1611.05397, sections 3.2 and
3.3). There is one ring of rows `[N]`, and rollouts of T steps are written into it whole. Nothing is
sampled across the write head. Sequences go on over the ends of episodes;
`RecurrentObservation.first` and `RecurrentTrajectory.terminated` and `truncated` say where these
are. The LSTM's state is stored as it was when the step was played.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from research.core.errors import UserError
from research.rl.acting.recurrent_rollouts import RecurrentTrajectory
from research.rl.replay.transitions import RingState


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Holds the newest steps of N actors; the arrays are a `RingState`, leaves `[C, N, ...]`.

    Attributes:
      rows: C, steps held of each actor; a multiple of those of a rollout.
      history: frames from which the next reward is predicted.
    """

    rows: int
    history: int = 3

    def init(self, steps: RecurrentTrajectory) -> RingState:
        """An empty ring for rollouts of these arrays or shapes `[T, N, ...]`.

        Raises:
          UserError: they do not fit into it a whole number of times, twice at least.
        """
        length = steps.action.shape[0]
        if self.rows % length or self.rows < 2 * length:
            raise UserError(
                f"replay.steps_per_actor={self.rows} is to be a multiple, and twice at least, of "
                f"the rollout's {length} steps"
            )
        items = jax.tree.map(lambda x: jnp.zeros((self.rows, *x.shape[1:]), x.dtype), steps)
        return RingState(items, jnp.int32(0), jnp.int32(0))

    def add(self, state: RingState, steps: RecurrentTrajectory) -> RingState:
        """Writes a rollout over the oldest steps; in place where the state is donated."""
        length = steps.action.shape[0]
        items = jax.tree.map(
            lambda ring, x: jax.lax.dynamic_update_slice_in_dim(ring, x, state.head, 0),
            state.items,
            steps,
        )
        filled = jnp.minimum(state.filled + length, self.rows)
        return RingState(items, (state.head + length) % self.rows, filled)

    def sample(
        self, state: RingState, key: jax.Array, length: int
    ) -> tuple[RecurrentTrajectory, jax.Array]:
        """Draws `length` steps in a row of every actor, any sequence as likely as any other.

        Returns:
          The steps, leaves `[length, N, ...]`; and whether so many are held at all, a bool scalar.
        """
        n = state.items.action.shape[1]
        ready = state.filled >= length
        start = jax.random.randint(key, (n,), 0, jnp.maximum(state.filled - length, 0) + 1)
        rows = self._row(state, start + jnp.arange(length)[:, None])
        return jax.tree.map(lambda x: x[rows, jnp.arange(n)], state.items), ready

    def histories(
        self, state: RingState, key: jax.Array, size: int
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Draws frames before a reward that is 0 or is not, one as likely as the other.

        Returns:
          Observations `[B, history, ...]`; the reward that the step from the last of them led to,
          `[B]`; weights `[B]`, 0 where there is no such history.
        """
        kind_key, place_key = jax.random.split(key)
        age = (jnp.arange(self.rows) - state.head + state.filled) % self.rows

        # Rows that end a whole history [C, N]: all of its frames are held, and of one episode, for
        # none but the first of them begins one.
        whole = ((age >= self.history - 1) & (age < state.filled))[:, None]
        for back in range(self.history - 1):
            whole = whole & ~jnp.roll(state.items.inputs.first, back, axis=0)

        rewarding = state.items.reward != 0
        kinds = jnp.stack([whole & ~rewarding, whole & rewarding])  # [2, C, N]
        kind = jax.random.bernoulli(kind_key, 0.5, (size,)).astype(jnp.int32)
        row, env, found = _pick(kinds, kind, place_key)
        window = (row[:, None] + jnp.arange(1 - self.history, 1)) % self.rows  # [B, history]
        frames = state.items.inputs.observation[window, env[:, None]]
        return frames, state.items.reward[row, env], found.astype(jnp.float32)

    def _row(self, state: RingState, age: jax.Array) -> jax.Array:
        """Rows of the steps of an age; the oldest has 0."""
        return (state.head - state.filled + age) % self.rows


def _pick(
    kinds: jax.Array, kind: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Picks places of a kind, each as likely as any other.

    Args:
      kinds: `[K, C, N]` bool, which places are of which kind.
      kind: `[B]` int32, what is asked for.
      key: for the choice.

    Returns:
      Rows `[B]` and columns `[B]` of places where `kinds[kind]` is true; whether there is one.
    """
    # By rows first, as sums within a row are short: which of all places, in which row, the how
    # many-th there.
    count = kinds.sum(axis=2)  # [K, C]
    count_so_far = jnp.cumsum(count, axis=1)
    total = count_so_far[kind, -1]  # [B]
    rank = jax.random.randint(key, kind.shape, 0, jnp.maximum(total, 1))
    row = jax.vmap(lambda k, r: jnp.searchsorted(count_so_far[k], r, side="right"))(kind, rank)
    row = jnp.minimum(row, kinds.shape[1] - 1)
    rank = rank - (count_so_far - count)[kind, row]
    column = (jnp.cumsum(kinds[kind, row], axis=1) == (rank + 1)[:, None]).argmax(axis=1)
    return row, column, total > 0
