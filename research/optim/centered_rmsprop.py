"""Optimizers of Q networks: RMSProp as the DQN paper has it, and Adam."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from research.core.errors import UserError


class CenteredRMSPropState(NamedTuple):
    """Attributes: mean, square: moving averages of the gradient and of its square."""

    mean: Any
    square: Any


def centered_rmsprop(
    learning_rate: float,
    gradient_momentum: float = 0.95,
    squared_gradient_momentum: float = 0.95,
    min_squared_gradient: float = 0.01,
) -> optax.GradientTransformation:
    """-lr * g / sqrt(E[g^2] - E[g]^2 + min_squared_gradient) (Mnih et al. 2015, Extended Data
    Table 1).

    «Gradient momentum» there is the decay of E[g], which centers the second moment; the step itself
    has no momentum. The averages start from zero and are not corrected for it. `optax.rmsprop` with
    `centered` uses one decay for both averages.
    """

    def init(params: Any) -> CenteredRMSPropState:
        return CenteredRMSPropState(
            jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params)
        )

    def update(
        grads: Any, state: CenteredRMSPropState, params: Any = None
    ) -> tuple[Any, CenteredRMSPropState]:
        a, b = gradient_momentum, squared_gradient_momentum
        mean = jax.tree.map(lambda m, g: a * m + (1 - a) * g, state.mean, grads)
        square = jax.tree.map(lambda s, g: b * s + (1 - b) * g * g, state.square, grads)
        steps = jax.tree.map(
            lambda g, m, s: -learning_rate * g / jnp.sqrt(s - m * m + min_squared_gradient),
            grads,
            mean,
            square,
        )
        return steps, CenteredRMSPropState(mean, square)

    return optax.GradientTransformation(init, update)


def make_optimizer(config: ConfigDict, batch_size: int) -> optax.GradientTransformation:
    """Optimizer of `config.optimizer`, for a loss that is a mean over the batch.

    The paper sums the gradient over its batch. With `min_squared_gradient`, which is of the sum,
    divided by the batch size squared, the step on the mean is the same.

    Raises:
      UserError: its name is neither "rmsprop" nor "adam".
    """
    if config.name == "adam":
        return optax.adam(config.learning_rate, eps=config.adam_epsilon)
    if config.name != "rmsprop":
        raise UserError(f"optimizer.name is rmsprop or adam, not {config.name!r}")
    return centered_rmsprop(
        config.learning_rate,
        config.gradient_momentum,
        config.squared_gradient_momentum,
        config.min_squared_gradient / batch_size**2,
    )
