"""When the generator of a WGAN moves, as the released code has it."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class CriticSchedule:
    """Updates of the critic before each update of the generator: a few, and now and then many.

    A critic near its optimum has gradients worth following, so it gets a long run before each of
    the generator's first updates, and before every so many after that. Time is counted in updates
    of the critic, from 0; an update of the generator follows some of them.

    Attributes:
      few: updates of the critic, n_critic of algorithm 1.
      many: of a long run.
      first: updates of the generator, the first ones, each after a long run.
      every: the generator's updates 0, `every`, 2 `every`, ... come after a long run; 0 for none.
    """

    few: int = 5
    many: int = 100
    first: int = 25
    every: int = 500

    def __post_init__(self) -> None:
        if self.few < 1 or self.many < 1:
            raise ValueError("a generator's update follows one of the critic at least")
        if self.every and self.first > self.every:
            raise ValueError("the first updates of the generator end before `every` of them")

    @property
    def _start(self) -> int:
        """Updates of the critic in the first long runs."""
        return self.first * self.many

    @property
    def _to_next(self) -> int:
        """Updates of the critic from there to the next long run."""
        return (self.every - self.first) * self.few if self.first else 0

    @property
    def _period(self) -> int:
        """Updates of the critic from one long run to the next."""
        return self.many + (self.every - 1) * self.few

    def moves(self, t: jax.Array) -> jax.Array:
        """Whether the generator is updated after the critic's update t, a boolean scalar."""
        after = t - self._start
        moves = (after + 1) % self.few == 0
        if self.every:
            within = (after - self._to_next) % self._period
            later = jnp.where(
                within < self.many,
                within == self.many - 1,
                (within - self.many + 1) % self.few == 0,
            )
            moves = jnp.where(after < self._to_next, moves, later)
        return jnp.where(after < 0, (t + 1) % self.many == 0, moves)

    def critic_updates(self, generator_updates: int) -> int:
        """Updates of the critic up to the one that so many of the generator's end with."""
        long_runs = min(self.first, generator_updates)
        if self.every:
            long_runs += max(0, (generator_updates - 1) // self.every)
            if not self.first and generator_updates:
                long_runs += 1
        return long_runs * self.many + (generator_updates - long_runs) * self.few
