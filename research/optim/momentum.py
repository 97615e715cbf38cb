"""Momentum with the learning rate inside, as cuda-convnet and Caffe have it, and what it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from research.core.tree import path_name


def momentum_sgd(
    learning_rate: optax.ScalarOrSchedule,
    bias_learning_rate: optax.ScalarOrSchedule,
    momentum: float,
    weight_decay: float,
) -> optax.GradientTransformation:
    """v <- momentum v - rate (g + weight_decay w); w <- w + v (Krizhevsky et al., 2012, section 5).

    The rate is inside: after it drops, the velocity of before still counts in full, other than in
    `optax.sgd`. Biases, arrays whose name ends in "bias", have a rate of their own and no decay.
    """

    def group(rate: optax.ScalarOrSchedule, decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(decay),
            optax.scale_by_learning_rate(rate),
            optax.trace(momentum),
        )

    return optax.partition(
        {
            "bias": group(bias_learning_rate, 0.0),
            "weights": group(learning_rate, weight_decay),
        },
        lambda params: jax.tree_util.tree_map_with_path(
            lambda path, _: "bias" if path_name(path).endswith("bias") else "weights", params
        ),
    )


def scaled_momentum_sgd(
    batch_size: int,
    num_steps: int,
    *,
    learning_rate: float,
    bias_learning_rate: float,
    scaling: Literal["linear", "sqrt"],
    momentum: float,
    weight_decay: float,
    drops_at: Sequence[float],
    drop_factor: float,
    bias_drops_at: Sequence[float],
    bias_drop_factor: float,
) -> optax.GradientTransformation:
    """`momentum_sgd` for layers that see `batch_size` images in an update.

    Args:
      batch_size: images in an update.
      num_steps: updates in the run.
      learning_rate, bias_learning_rate: for 128 images.
      scaling: how the rates grow with the batch: linearly, or with its root (Krizhevsky, 2014,
        section 5).
      momentum, weight_decay: see `momentum_sgd`.
      drops_at, drop_factor, bias_drops_at, bias_drop_factor: how the rates drop, see `dropping`.
    """
    ratio = batch_size / 128
    scale = {"linear": ratio, "sqrt": math.sqrt(ratio)}[scaling]
    return momentum_sgd(
        dropping(scale * learning_rate, num_steps, drops_at, drop_factor),
        dropping(scale * bias_learning_rate, num_steps, bias_drops_at, bias_drop_factor),
        momentum,
        weight_decay,
    )


def dropping(rate: float, num_steps: int, at: Sequence[float], factor: float) -> optax.Schedule:
    """`rate`, divided by `factor` after each of the shares `at` of `num_steps`."""
    return optax.piecewise_constant_schedule(
        rate, {round(share * num_steps): 1 / factor for share in at}
    )


def without_norms(params: optax.Params) -> Any:
    """Mask for `optax.add_decayed_weights`: all but gamma and beta of layers named `*norm`."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: not path_name(path[:-1]).endswith("norm"), params
    )


class RateInsideState(NamedTuple):
    """State of `nesterov_rate_inside`.

    Attributes:
      velocity: u, as the parameters.
      rate: of the last step.
      step: number of the step to come, from 0.
    """

    velocity: optax.Updates
    rate: jax.Array
    step: jax.Array


def nesterov_rate_inside(
    rate: optax.Schedule, momentum: float, correct: bool = True
) -> optax.GradientTransformation:
    """u <- c momentum u + rate g; w <- w - (rate g + momentum u), Nesterov's momentum.

    With c = rate / (the last step's rate), the momentum correction of Goyal et al. (2017, remark
    2), u is the rate times the velocity of `optax.sgd(rate, momentum, nesterov=True)` and both give
    the same weights. Without it, c = 1, a rise of the rate leaves the history too small and a drop
    too large.
    """

    def init(params: optax.Params) -> RateInsideState:
        velocity = jax.tree.map(jnp.zeros_like, params)
        return RateInsideState(velocity, jnp.asarray(rate(0), jnp.float32), jnp.int32(0))

    def update(
        grads: optax.Updates, state: RateInsideState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, RateInsideState]:
        new = jnp.asarray(rate(state.step), jnp.float32)
        keep = momentum * (new / state.rate if correct else 1.0)
        velocity = jax.tree.map(lambda u, g: keep * u + new * g, state.velocity, grads)
        updates = jax.tree.map(lambda u, g: -(new * g + momentum * u), velocity, grads)
        return updates, RateInsideState(velocity, new, state.step + 1)

    return optax.GradientTransformation(init, update)


class ScheduledMomentumState(NamedTuple):
    """State of `scheduled_momentum`.

    Attributes:
      velocity: v, as the parameters.
      step: number of the step to come, from 0.
    """

    velocity: optax.Updates
    step: jax.Array


def scheduled_momentum(
    rate: optax.Schedule, momentum: optax.Schedule
) -> optax.GradientTransformation:
    """v <- momentum(t) v - rate(t) g; w <- w + v: pylearn2's rule, the rate inside.

    Args:
      rate, momentum: of the number of the step, from 0.
    """

    def init(params: optax.Params) -> ScheduledMomentumState:
        return ScheduledMomentumState(jax.tree.map(jnp.zeros_like, params), jnp.int32(0))

    def update(
        grads: optax.Updates, state: ScheduledMomentumState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, ScheduledMomentumState]:
        m, r = momentum(state.step), rate(state.step)
        velocity = jax.tree.map(lambda v, g: m * v - r * g, state.velocity, grads)
        return velocity, ScheduledMomentumState(velocity, state.step + 1)

    return optax.GradientTransformation(init, update)


def maxout_sgd(
    learning_rate: float,
    *,
    epoch_steps: int,
    rate_decay: float = 1.000004,
    min_rate: float = 1e-6,
    momentum_start: float = 0.5,
    momentum_end: float = 0.7,
    momentum_epochs: int = 250,
) -> optax.GradientTransformation:
    """The training of the released maxout networks and of the first GAN (Goodfellow, 2013, 2014).

    Args:
      learning_rate: of the first step, divided by `rate_decay` after every one.
      epoch_steps: steps of an epoch.
      rate_decay: see `learning_rate`.
      min_rate: the rate does not fall below it.
      momentum_start, momentum_end: momentum rises in a straight line over epochs, from the first
        of them, number 1, to number `momentum_epochs`.
      momentum_epochs: see there.
    """

    def momentum(step: jax.Array) -> jax.Array:
        share = (step // epoch_steps) / max(momentum_epochs - 1, 1)  # adjusted between epochs
        return momentum_start + (momentum_end - momentum_start) * jnp.clip(share, 0.0, 1.0)

    return scheduled_momentum(
        optax.exponential_decay(learning_rate, 1, 1 / rate_decay, end_value=min_rate), momentum
    )
