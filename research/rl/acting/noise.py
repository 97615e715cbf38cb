"""Noise on the actions of a deterministic policy, or on its parameters, to explore with."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp


def ornstein_uhlenbeck(
    key: jax.Array, noise: jax.Array, theta: float = 0.15, sigma: float = 0.2
) -> jax.Array:
    """The next value `[N, A]` of noise that is correlated in time and returns to zero.

    dx = -theta x + sigma dW with steps of length 1 (Lillicrap et al., 2015, arXiv:1509.02971,
    section 7). The stationary standard deviation is sigma / sqrt(theta (2 - theta)).
    """
    return noise - theta * noise + sigma * jax.random.normal(key, noise.shape)


def random_or_gaussian(
    key: jax.Array, action: jax.Array, epsilon: float, sigma: float
) -> jax.Array:
    """Actions `[N, A]` with Gaussian noise, clipped to [-1, 1]; with probability epsilon uniform.

    Andrychowicz et al., 2017, arXiv:1707.01495, appendix A.
    """
    choice_key, uniform_key, noise_key = jax.random.split(key, 3)
    random = jax.random.uniform(choice_key, (len(action), 1)) < epsilon
    uniform = jax.random.uniform(uniform_key, action.shape, minval=-1.0, maxval=1.0)
    noisy = action + sigma * jax.random.normal(noise_key, action.shape)
    return jnp.where(random, uniform, jnp.clip(noisy, -1.0, 1.0))


@flax.struct.dataclass
class ParameterNoise:
    """Noise on a policy's parameters, as large as the change of its actions should be.

    Plappert et al., 2017, arXiv:1706.01905, section 3 and appendix C.1; what layer normalization
    scales and shifts by is left alone, as in the authors' code.

    Attributes:
      direction: standard normal, in the form of the parameters.
      sigma: scalar standard deviation in the space of parameters.
    """

    direction: Any
    sigma: jax.Array

    @classmethod
    def start(cls, key: jax.Array, params: Any, sigma: float) -> ParameterNoise:
        return cls(_normal(key, params), jnp.float32(sigma))

    def perturb(self, params: Any) -> Any:
        """The parameters with this noise on them."""
        return jax.tree.map(lambda p, d: p + self.sigma * d, params, self.direction)

    def renew(
        self, key: jax.Array, distance: jax.Array, target: float, factor: float = 1.01
    ) -> ParameterNoise:
        """Draws another direction, and adapts the size of the noise.

        Args:
          key: of the new direction.
          distance: between the actions of the perturbed policy and the policy's, root mean square.
          target: of that distance; where it is not reached, sigma grows, otherwise it shrinks.
          factor: by which it does.
        """
        sigma = jnp.where(distance < target, self.sigma * factor, self.sigma / factor)
        return ParameterNoise(_normal(key, self.direction), sigma)


def _normal(key: jax.Array, tree: Any) -> Any:
    leaves, structure = jax.tree.flatten_with_path(tree)
    keys = jax.random.split(key, len(leaves))
    noise = [
        jax.random.normal(k, x.shape)
        if "LayerNorm" not in jax.tree_util.keystr(path)
        else jnp.zeros_like(x)
        for k, (path, x) in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, noise)
