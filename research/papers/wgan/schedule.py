"""When the generator moves: after so many updates of the critic, and sometimes after many more.

Source: the released code of Arjovsky et al. 2017, arXiv:1701.07875. A critic should be near its
optimum when the generator learns from it: for its first 25 updates, and for every 500th after
them, it waits for 100 of the critic's, otherwise for 5.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class CriticSchedule:
    """Counts the critic's updates before each of the generator's.

    Attributes:
      usual: updates of the critic before most of the generator's.
      many: before the others.
      first: so many of the generator's first updates wait for `many`.
      every: and so does each update whose number divides by it.
    """

    usual: int = 5
    many: int = 100
    first: int = 25
    every: int = 500

    def critic_updates(self, generator_step: int) -> int:
        """The critic's updates before the generator's update of this number, counted from 0."""
        waits = generator_step < self.first or generator_step % self.every == 0
        return self.many if waits else self.usual

    def total(self, generator_steps: int) -> int:
        """The critic's updates in a run of so many of the generator's."""
        return sum(self.critic_updates(g) for g in range(generator_steps))

    def generator_moves(self, t: jax.Array) -> jax.Array:
        """Whether the generator moves after the critic's update `t`, counted from 0: a boolean.

        In closed form, so that no state has to count.
        """
        warm = self.first * self.many
        # From the last of the first updates to the next one that waits for many.
        rest = -self.first % self.every * self.usual
        in_cycle = (t - warm - rest) % (self.many + (self.every - 1) * self.usual)
        usual = (in_cycle - self.many + 1) % self.usual == 0
        return jnp.where(
            t < warm,
            (t + 1) % self.many == 0,
            jnp.where(
                t < warm + rest,
                (t - warm + 1) % self.usual == 0,
                jnp.where(in_cycle < self.many, in_cycle + 1 == self.many, usual),
            ),
        )
