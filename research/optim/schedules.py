"""Learning-rate schedules of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax

from research.core.errors import UserError


def noam(dim: int, warmup_steps: int, factor: float = 1.0) -> optax.Schedule:
    """factor * dim^-0.5 * min(step^-0.5, step * warmup^-1.5) (Vaswani et al. 2017, equation 3).

    The paper counts steps from 1, optax from 0.
    """

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        step = jnp.asarray(count, jnp.float32) + 1.0
        return factor * dim**-0.5 * jnp.minimum(step**-0.5, step * warmup_steps**-1.5)

    return schedule


def halving(rate: float, after_steps: int, every_steps: int) -> optax.Schedule:
    """`rate`, halved at `after_steps` and again each `every_steps` (Sutskever et al. 2014, 3.4)."""

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        step = jnp.asarray(count, jnp.float32)
        times = jnp.floor((step - after_steps) / every_steps) + 1.0
        return rate * 0.5 ** jnp.maximum(times, 0.0)

    return schedule


def doubling(first: float, every_steps: int, largest: float) -> optax.Schedule:
    """`first`, doubled each `every_steps` until it is `largest`, where it stays."""

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        times = jnp.floor(jnp.asarray(count, jnp.float32) / every_steps)
        return jnp.minimum(first * 2.0**times, largest)

    return schedule


def warmup_and_drops(
    rate: float, warmup_rate: float, warmup: str, warmup_steps: int, drop_steps: Sequence[int]
) -> optax.Schedule:
    """`rate`, a tenth of it after each of `drop_steps`, reached from `warmup_rate` (Goyal et al.,
    2017, section 2.2).

    Args:
      rate: after the warm-up.
      warmup_rate: that of a small batch, where the warm-up begins. Not zero.
      warmup: "gradual" adds the same at every step, so that step 0 has `warmup_rate` and step
        `warmup_steps` has `rate`; "constant" stays at `warmup_rate` until then; "none".
      warmup_steps: its length.
      drop_steps: the first steps with a lower rate.

    Raises:
      UserError: there is no such warm-up.
    """
    if warmup not in ("gradual", "constant", "none"):
        raise UserError(f"schedule.warmup is gradual, constant or none, not {warmup!r}")
    if warmup == "none":
        warmup_steps = 0

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        step = jnp.asarray(count, jnp.float32)
        share = step / max(warmup_steps, 1) if warmup == "gradual" else 0.0
        ramp = warmup_rate + share * (rate - warmup_rate)
        drops = sum(jnp.where(step >= at, 1.0, 0.0) for at in drop_steps)
        return jnp.where(step < warmup_steps, ramp, rate * 0.1**drops)

    return schedule


def stepped(
    rates: Sequence[tuple[float, float]], num_updates: int, warmup_updates: int = 0
) -> optax.Schedule:
    """Rates that hold from a share of the run on, such as ((0, 0.01), (0.6, 0.001)).

    Args:
      rates: (share of the run, rate) in order, the first from share 0 on.
      num_updates: of the run.
      warmup_updates: over which the rate grows linearly, from rate / (warmup_updates + 1) on.
    """
    starts = {int(share * num_updates): rate for share, rate in rates}

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        rate = jnp.float32(0)
        for start, value in starts.items():
            rate = jnp.where(count >= start, value, rate)
        return rate * jnp.minimum(1, (count + 1) / (warmup_updates + 1))

    return schedule


def warmup_cosine(
    peak: float, warmup: float, total: float, end_factor: float = 0.0
) -> Callable[[jax.Array | float], jax.Array]:
    """Linear from 0 to `peak` over `warmup`, then half a cosine to `peak * end_factor` at `total`.

    Beyond `total` the last value stays (Radford et al. 2018; Brown et al. 2020, appendix B). The
    argument has the unit of `warmup` and `total`: steps, or tokens.
    """

    def schedule(progress: jax.Array | float) -> jax.Array:
        progress = jnp.asarray(progress, jnp.float32)
        # As floats: counts of tokens do not fit 32 bits.
        rising = peak * progress / max(float(warmup), 1e-9)
        done = (progress - float(warmup)) / max(float(total - warmup), 1e-9)
        done = jnp.clip(done, 0.0, 1.0)
        cosine = 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        falling = peak * (end_factor + (1.0 - end_factor) * cosine)
        return jnp.where(progress < float(warmup), rising, falling)

    return schedule


def warmup_linear(peak: float, warmup_steps: float, num_steps: int) -> optax.Schedule:
    """Linear to `peak` over `warmup_steps`, then linear to 0 at `num_steps`.

    Source: Radford et al. 2018, section 4.1, for fine-tuning.
    """

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        step = jnp.asarray(count, jnp.float32)
        rising = (step + 1.0) / max(warmup_steps, 1.0)
        falling = (num_steps - step) / max(num_steps - warmup_steps, 1.0)
        return peak * jnp.clip(jnp.minimum(rising, falling), 0.0, 1.0)

    return schedule
