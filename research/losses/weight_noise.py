"""Adaptive weight noise: a Gaussian posterior for every weight (Graves, 2011).

Practical Variational Inference for Neural Networks, NIPS 2011, as it is used in Graves, 2013,
arXiv:1308.0850, section 4.2: the loss is the minimum description length of data and weights,

    L = E_{w ~ Q} [-log p(data | w)] + KL(Q || P),

with Q a Gaussian with a mean and a deviation for each weight, and P one Gaussian for all of them,
which is fitted to Q at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp


class WeightPosterior(NamedTuple):
    """Q: independent Gaussians.

    Attributes:
      mean: in the form of the parameters.
      log_std: logarithms of the deviations, likewise.
    """

    mean: Any
    log_std: Any

    @classmethod
    def around(cls, params: Any, std: float) -> WeightPosterior:
        """Begins at trained parameters, with one deviation for all."""
        return cls(params, jax.tree.map(lambda p: jnp.full_like(p, jnp.log(std)), params))

    def sample(self, key: jax.Array) -> Any:
        """Weights; they are a differentiable function of mean and deviation."""
        leaves, form = jax.tree.flatten(self.mean)
        keys = jax.tree.unflatten(form, list(jax.random.split(key, len(leaves))))

        def draw(mean: jax.Array, log_std: jax.Array, key: jax.Array) -> jax.Array:
            return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)

        return jax.tree.map(draw, self.mean, self.log_std, keys)

    def fitted_prior(self) -> tuple[jax.Array, jax.Array]:
        """Mean and variance of the P that has the least divergence from Q."""
        means = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(self.mean)])
        stds = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(self.log_std)])
        mean = jnp.mean(means)
        return mean, jnp.mean(jnp.exp(2 * stds) + (means - mean) ** 2)

    def kl_to_fitted_prior(self) -> jax.Array:
        """KL(Q || P) in nats, of all weights together.

        Where P is fitted the quadratic terms add up to half the number of weights, and what is
        left is the sum of log(sigma_P / sigma).
        """
        _, variance = self.fitted_prior()
        logs = [jnp.sum(0.5 * jnp.log(variance) - leaf) for leaf in jax.tree.leaves(self.log_std)]
        return sum(logs, jnp.zeros(()))


class NoisyWeights(nn.Module):
    """The parameters "mean" and "log_std" of a `WeightPosterior`, for a `Learner` to train.

    Attributes:
      initial: key -> the parameters to begin around.
      std: of all weights at the start.
    """

    initial: Callable[[jax.Array], Any]
    std: float

    @nn.compact
    def __call__(self) -> WeightPosterior:
        mean = self.param("mean", self.initial)
        around = WeightPosterior.around(mean, self.std)
        return WeightPosterior(mean, self.param("log_std", lambda key: around.log_std))
