"""Uniform initialisation by fan-in, kernels and biases alike: Torch's default, and DDPG's.

Every value is uniform in +-1/sqrt(f), where f is the layer's fan-in (Lillicrap et al., 2015,
arXiv:1509.02971, section 7).
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype, Initializer

kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def within(bound: float) -> Initializer:
    """Uniform in +-bound."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -bound, bound
    )


def bias_init(fan_in: int) -> Initializer:
    """An initializer for the bias of a layer with that many inputs."""
    return within(fan_in**-0.5)


def dense(
    units: int, fan_in: int, *, dtype: Dtype | None = None, name: str | None = None
) -> nn.Dense:
    """A dense layer that is initialised so."""
    return nn.Dense(
        units, dtype=dtype, kernel_init=kernel_init, bias_init=bias_init(fan_in), name=name
    )
