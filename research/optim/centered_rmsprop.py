"""RMSProp as the DQN paper has it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class CenteredRMSPropState(NamedTuple):
    """Moving averages in the form of the parameters.

    Attributes:
      mean: of the gradient.
      square: of its square.
    """

    mean: Any
    square: Any


def centered_rmsprop(
    learning_rate: float,
    gradient_momentum: float = 0.95,
    squared_gradient_momentum: float = 0.95,
    min_squared_gradient: float = 0.01,
) -> optax.GradientTransformation:
    """Steps by -lr * g / sqrt(E[g^2] - E[g]^2 + min_squared_gradient).

    Mnih et al., 2015, Extended Data Table 1. «Gradient momentum» there is the decay of E[g], which
    centers the second moment; the step itself has no momentum. The averages start from zero and are
    not corrected for it. `optax.rmsprop` with `centered` uses one decay for both averages, and has
    NaN where rounding takes the variance E[g^2] - E[g]^2 of a nearly constant gradient far below 0;
    here it is 0 at least.

    Args:
      learning_rate: lr.
      gradient_momentum: decay of E[g].
      squared_gradient_momentum: decay of E[g^2].
      min_squared_gradient: for a gradient g that is a mean over a batch of B, the paper's value,
        which is of the sum over it, divided by B^2: the steps are then the same.
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
            lambda g, m, s: (
                -learning_rate * g / jnp.sqrt(jnp.maximum(s - m * m, 0.0) + min_squared_gradient)
            ),
            grads,
            mean,
            square,
        )
        return steps, CenteredRMSPropState(mean, square)

    return optax.GradientTransformation(init, update)
