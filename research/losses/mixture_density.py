"""Mixture density outputs for points in the plane (Bishop, 1994).

Source: Graves, 2013, arXiv:1308.0850, section 4.1. What is said of the pen beside the point (is it
lifted, has the drawing ended) is another distribution, and none of this file's.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class PlanarMixture(NamedTuple):
    """A mixture of M Gaussians in the plane with full covariances.

    Everything is kept as a network gives it, so that no weight, deviation or 1 - rho^2 is ever
    rounded to zero.

    Attributes:
      logits: pi^ `[..., M]`; the weights are pi = softmax(pi^) (equation 19).
      mean: mu `[..., M, 2]` (20).
      log_std: sigma^ `[..., M, 2]`; sigma = exp(sigma^) (21).
      atanh_rho: rho^ `[..., M]`; the correlation is rho = tanh(rho^) (22).
    """

    logits: jax.Array
    mean: jax.Array
    log_std: jax.Array
    atanh_rho: jax.Array

    @staticmethod
    def width(components: int) -> int:
        """Numbers that a network gives for a mixture of so many components."""
        return 6 * components

    @classmethod
    def from_outputs(cls, outputs: jax.Array, std_floor: float = 0.0) -> PlanarMixture:
        """From `[..., 6 M]`, in the order pi^, mu_1, mu_2, sigma^_1, sigma^_2, rho^.

        Args:
          outputs: of a network.
          std_floor: sigma = exp(sigma^) + std_floor. What moves by whole pixels or equal steps
            has offsets that repeat, on which a density without a floor has no upper bound.
        """
        pi, x, y, log_x, log_y, rho = jnp.split(outputs, 6, axis=-1)
        log_std = jnp.stack([log_x, log_y], axis=-1)
        if std_floor:
            log_std = jnp.logaddexp(log_std, jnp.log(std_floor))
        return cls(pi, jnp.stack([x, y], axis=-1), log_std, rho)

    @property
    def log_weights(self) -> jax.Array:
        """log pi `[..., M]`."""
        return jax.nn.log_softmax(self.logits)

    def biased(self, bias: float | jax.Array) -> PlanarMixture:
        """With sigma = exp(sigma^ - b) and pi = softmax(pi^ (1 + b)) (equations 61 and 62).

        Args:
          bias: b, 0 for none; of each row, or a number. The larger it is, the nearer samples come
            to the likeliest ones.
        """
        b = jnp.asarray(bias)
        return self._replace(
            logits=self.logits * (1.0 + b[..., None]),
            log_std=self.log_std - b[..., None, None],
        )

    def component_log_probs(self, x: jax.Array) -> jax.Array:
        """log N(x; mu_j, sigma_j, rho_j) `[..., M]` of points x `[..., 2]` (equations 24 and 25).

        Z / (1 - rho^2) is the sum of two squares, z_1^2 and (z_2 - rho z_1)^2 / (1 - rho^2) with
        z = (x - mu) / sigma: nothing cancels in it. sqrt(1 - rho^2) is 1 / cosh(rho^).
        """
        z = (x[..., None, :] - self.mean) * jnp.exp(-self.log_std)
        log_cosh = jnp.logaddexp(self.atanh_rho, -self.atanh_rho) - jnp.log(2.0)
        across = (z[..., 1] - jnp.tanh(self.atanh_rho) * z[..., 0]) * jnp.exp(log_cosh)
        log_scale = jnp.sum(self.log_std, axis=-1) - log_cosh
        return -0.5 * (z[..., 0] ** 2 + across**2) - jnp.log(2 * jnp.pi) - log_scale

    def log_prob(self, x: jax.Array) -> jax.Array:
        """log sum_j pi_j N(x; mu_j, sigma_j, rho_j): `[...]` of x `[..., 2]` (equation 23)."""
        return jax.nn.logsumexp(self.log_weights + self.component_log_probs(x), axis=-1)

    def expected(self) -> jax.Array:
        """The mean of the mixture `[..., 2]`."""
        return jnp.sum(jax.nn.softmax(self.logits)[..., None] * self.mean, axis=-2)

    def sample(self, key: jax.Array) -> jax.Array:
        """A point `[..., 2]` of each mixture."""
        which_key, point_key = jax.random.split(key)
        chosen = jax.random.categorical(which_key, self.logits)[..., None]
        mean, log_std = (
            jnp.take_along_axis(part, chosen[..., None], axis=-2)[..., 0, :]
            for part in (self.mean, self.log_std)
        )
        atanh_rho = jnp.take_along_axis(self.atanh_rho, chosen, axis=-1)[..., 0]
        along, across = jnp.moveaxis(jax.random.normal(point_key, mean.shape), -1, 0)
        second = jnp.tanh(atanh_rho) * along + across / jnp.cosh(atanh_rho)
        return mean + jnp.exp(log_std) * jnp.stack([along, second], axis=-1)
