"""Learning rates that follow an error: warm-up until it falls, a drop where it stalls."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

ScheduleState = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class ErrorSchedule:
    """A learning rate divided by ten, at given steps or on a plateau, after a warm-up.

    Its state rides in the training state: a step asks for its `rate`, and then calls `update` with
    its training error, or an error on images held out.

    Attributes:
      learning_rate: after the warm-up, before the first drop.
      warmup_learning_rate: during the warm-up, or where its ramp begins.
      warmup_steps: length of a linear ramp; 0 for none.
      warmup_until_error: the warm-up's rate stays until the training error, in percent, averaged
        over about `horizon_steps` steps, is below this (He et al., 2015, section 4.2, n = 18: 80);
        0 for no such rule.
      lower_at_steps: steps at which the rate is divided by ten.
      plateau_steps: the rate is divided by ten whenever the training error, averaged over a window
        of so many steps, is less than `plateau_percent` below the best window's; 0 for never.
      plateau_percent: see `plateau_steps`.
      max_plateaus: how often a plateau may lower the rate.
      horizon_steps: of the warm-up rule's moving average.
    """

    learning_rate: float
    warmup_learning_rate: float
    warmup_steps: int
    warmup_until_error: float
    lower_at_steps: tuple[int, ...]
    plateau_steps: int
    plateau_percent: float = 0.1
    max_plateaus: int = 100
    horizon_steps: int = 50

    def init(self) -> ScheduleState:
        return {
            "error": jnp.full((), 100.0),
            "warm": jnp.full((), not self.warmup_until_error),
            "plateaus": jnp.zeros((), jnp.int32),
            "window": jnp.zeros(()),
            "best": jnp.full((), 200.0),
        }

    def rate(self, state: ScheduleState, t: jax.Array) -> jax.Array:
        """Learning rate of step `t`, counted from 0."""
        ramp = jnp.clip(t / max(self.warmup_steps, 1), 0, 1) if self.warmup_steps else 1.0
        ramp = jnp.where(state["warm"], ramp, 0.0)
        rate = self.warmup_learning_rate + ramp * (self.learning_rate - self.warmup_learning_rate)
        drops = state["plateaus"] + sum(
            (t >= step).astype(jnp.int32) for step in self.lower_at_steps
        )
        return rate * 0.1**drops

    def update(self, state: ScheduleState, t: jax.Array, error: jax.Array) -> ScheduleState:
        """State after step `t`, whose training error was `error` percent."""
        average = state["error"] + (error - state["error"]) / self.horizon_steps
        window, best, plateaus = state["window"] + error, state["best"], state["plateaus"]
        if self.plateau_steps:
            ended = (t + 1) % self.plateau_steps == 0
            mean = window / self.plateau_steps
            stalled = ended & (mean > best - self.plateau_percent)
            best = jnp.where(ended, jnp.minimum(best, mean), best)
            window = jnp.where(ended, 0.0, window)
            plateaus = jnp.minimum(plateaus + stalled, self.max_plateaus)
        return {
            "error": average,
            "warm": state["warm"] | (average < self.warmup_until_error),
            "plateaus": plateaus,
            "window": window,
            "best": best,
        }
