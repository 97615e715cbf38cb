"""Distributions of vectors with independent entries: densities, samples, divergences.

Log densities and divergences are in nats and summed over the last axis.

Source: Kingma and Welling 2013, arXiv:1312.6114, appendices B and C.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Normal(NamedTuple):
    """A Gaussian with a diagonal covariance.

    Attributes:
      mean: `[..., D]`.
      log_var: logarithm of the variances `[..., D]`.
    """

    mean: jax.Array
    log_var: jax.Array

    def log_prob(self, x: jax.Array) -> jax.Array:
        """log N(x; mean, var): `[...]` of x `[..., D]`."""
        squares = jnp.square(x - self.mean) * jnp.exp(-self.log_var)
        return -0.5 * jnp.sum(jnp.log(2 * jnp.pi) + self.log_var + squares, axis=-1)

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """mean + std * epsilon with epsilon ~ N(0, I): `[*shape, ..., D]`.

        The sample is a differentiable function of mean and variance (section 2.4).
        """
        epsilon = jax.random.normal(key, (*shape, *self.mean.shape))
        return self.mean + jnp.exp(0.5 * self.log_var) * epsilon

    def kl_to_standard(self) -> jax.Array:
        """KL(N(mean, var) || N(0, I)) of every entry `[..., D]`, which are summed by the caller.

        -KL = 1/2 (1 + log var - mean^2 - var) (appendix B).
        """
        squares = jnp.square(self.mean) + jnp.exp(self.log_var)
        return 0.5 * (squares - 1 - self.log_var)


class Bernoulli(NamedTuple):
    """Bits with probabilities sigmoid(logits).

    Attributes:
      logits: `[..., D]`.
    """

    logits: jax.Array

    @property
    def mean(self) -> jax.Array:
        """Probabilities `[..., D]`."""
        return jax.nn.sigmoid(self.logits)

    def log_prob(self, x: jax.Array) -> jax.Array:
        """sum x log y + (1 - x) log(1 - y): `[...]` of x `[..., D]` in 0 to 1 (appendix C.1).

        For grey x this is no log density, but the negative cross-entropy, as papers have it.
        """
        positive = x * jax.nn.log_sigmoid(self.logits)
        return jnp.sum(positive + (1 - x) * jax.nn.log_sigmoid(-self.logits), axis=-1)

    def sample(self, key: jax.Array) -> jax.Array:
        """Bits as float32 `[..., D]`."""
        return jax.random.bernoulli(key, self.mean).astype(jnp.float32)


def log_standard_normal(z: jax.Array) -> jax.Array:
    """log N(z; 0, I): `[...]` of z `[..., D]`."""
    return -0.5 * jnp.sum(jnp.log(2 * jnp.pi) + jnp.square(z), axis=-1)
