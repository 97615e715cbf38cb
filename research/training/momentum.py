"""Momentum as the networks of 2012 to 2014 were trained with it: cuda-convnet, Caffe."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import optax

from research.training.sharding import path_name


def momentum_sgd(
    rate: optax.Schedule, bias_rate: optax.Schedule, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """v <- momentum v - rate (g + weight_decay w); w <- w + v (Krizhevsky et al., 2012, section 5).

    The rate is inside: after it drops, the velocity of before still counts in full, other than in
    `optax.sgd`. Biases, arrays whose name ends in "bias", have a rate of their own and no decay.
    """

    def group(schedule: optax.Schedule, decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(decay), optax.scale_by_learning_rate(schedule),
            optax.trace(momentum),
        )

    return optax.partition(
        {"bias": group(bias_rate, 0.0), "weights": group(rate, weight_decay)},
        lambda params: jax.tree_util.tree_map_with_path(
            lambda path, _: "bias" if path_name(path).endswith("bias") else "weights", params
        ),
    )


def dropping(
    rate: float, num_steps: int, at: Sequence[float], factor: float
) -> optax.Schedule:
    """`rate`, divided by `factor` after each of the shares `at` of `num_steps`."""
    return optax.piecewise_constant_schedule(
        rate, {round(share * num_steps): 1 / factor for share in at}
    )
