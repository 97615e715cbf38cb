"""Momentum as the networks of 2012 to 2014 were trained with it: cuda-convnet, Caffe."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import optax
from ml_collections import ConfigDict

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


def scaled_momentum_sgd(
    optimizer: ConfigDict, batch_size: int, num_steps: int
) -> optax.GradientTransformation:
    """`momentum_sgd` as `config.optimizer` describes it, for layers that see `batch_size` images.

    Its rates are those for 128 images; they grow with the batch, linearly or with its root
    (Krizhevsky, 2014, section 5), and are `dropping` in the course of `num_steps` updates.
    """
    o, ratio = optimizer, batch_size / 128
    scale = {"linear": ratio, "sqrt": math.sqrt(ratio)}[o.scaling]
    return momentum_sgd(
        dropping(scale * o.learning_rate, num_steps, o.drops_at, o.drop_factor),
        dropping(scale * o.bias_learning_rate, num_steps, o.bias_drops_at, o.bias_drop_factor),
        o.momentum, o.weight_decay,
    )


def dropping(
    rate: float, num_steps: int, at: Sequence[float], factor: float
) -> optax.Schedule:
    """`rate`, divided by `factor` after each of the shares `at` of `num_steps`."""
    return optax.piecewise_constant_schedule(
        rate, {round(share * num_steps): 1 / factor for share in at}
    )
