"""Estimates of log p(x) of models with latent variables, one x at a time.

Every function is of one x; `jax.vmap` makes them of many.

Sources: Kingma and Welling 2013, arXiv:1312.6114, appendix D (by samples from the posterior);
Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519, section 3 (by importance sampling).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg

from research.metrics.hamiltonian import LogDensity, adapted, hmc_step

_JITTER = 1e-6  # of a covariance, where a chain did not move
_WIDER = 1.5  # deviations of the proposal over those of the fit


class Gaussian(NamedTuple):
    """A Gaussian with a full covariance.

    Attributes:
      mean: `[Z]`.
      scale: lower Cholesky factor of the covariance `[Z, Z]`.
    """

    mean: jax.Array
    scale: jax.Array

    def log_prob(self, z: jax.Array) -> jax.Array:
        """Log density `[N]` of z `[N, Z]`."""
        whitened = jax.scipy.linalg.solve_triangular(self.scale, (z - self.mean).T, lower=True)
        log_det = jnp.sum(jnp.log(jnp.diagonal(self.scale)))
        size = len(self.mean)
        return -0.5 * (whitened**2).sum(0) - log_det - 0.5 * size * jnp.log(2 * jnp.pi)

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        """`[num, Z]`."""
        return self.mean + jax.random.normal(key, (num, len(self.mean))) @ self.scale.T

    @classmethod
    def fit(cls, z: jax.Array) -> Gaussian:
        """Mean and unbiased covariance of samples `[N, Z]`."""
        mean = z.mean(0)
        covariance = (z - mean).T @ (z - mean) / (len(z) - 1)
        return cls(mean, jnp.linalg.cholesky(covariance + _JITTER * jnp.eye(len(mean))))


class Estimates(NamedTuple):
    """Estimates of log p(x) in nats.

    Attributes:
      posterior: by samples from the posterior.
      importance: by importance sampling; its mean is log p(x) at most.
      acceptance: mean probability of acceptance of the chain.
    """

    posterior: jax.Array
    importance: jax.Array
    acceptance: jax.Array


def estimate(
    key: jax.Array,
    log_joint: LogDensity,
    start: jax.Array,
    *,
    num_samples: int = 50,
    num_leapfrog: int = 4,
    burn_in: int = 100,
    num_weights: int = 5000,
) -> Estimates:
    """Estimates log p(x) both ways; for latents of fewer than five entries.

    Appendix D: samples from the posterior by HMC, a density q fitted to the first half of them, and
    the second half in 1/p(x) = E[q(z) / p(x, z)]. The same q, widened, is then the proposal of
    importance sampling, with no sample of the chain in it.

    Args:
      key: of all samples.
      log_joint: log p(x, z) of z `[Z]`.
      start: where the chain begins, `[Z]`.
      num_samples: each half of the samples that are kept.
      num_leapfrog: steps of a trajectory.
      burn_in: trajectories before the first sample, over which the step size is tuned to 90 %
        acceptance.
      num_weights: importance samples.
    """
    burn_key, keep_key, weight_key = jax.random.split(key, 3)
    z, step_size = tuned_chain(burn_key, log_joint, start, num_leapfrog, burn_in)

    def keep(z: jax.Array, key: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        z, acceptance = hmc_step(key, log_joint, z, step_size, num_leapfrog)
        return z, (z, acceptance)

    _, (samples, acceptance) = jax.lax.scan(keep, z, jax.random.split(keep_key, 2 * num_samples))
    first, second = samples[:num_samples], samples[num_samples:]
    q = Gaussian.fit(first)
    return Estimates(
        from_posterior(q.log_prob(second), jax.vmap(log_joint)(second)),
        # Wider, so that no weight is large where the few samples of the fit were not.
        by_importance(weight_key, log_joint, q._replace(scale=_WIDER * q.scale), num_weights),
        acceptance.mean(),
    )


def tuned_chain(
    key: jax.Array, log_joint: LogDensity, start: jax.Array, num_leapfrog: int, steps: int
) -> tuple[jax.Array, jax.Array]:
    """Where a chain is after `steps` trajectories, and the step size that was tuned on the way."""

    def body(carry: tuple[jax.Array, jax.Array], key: jax.Array) -> tuple[tuple, jax.Array]:
        z, step_size = carry
        z, acceptance = hmc_step(key, log_joint, z, step_size, num_leapfrog)
        step_size = adapted(step_size, acceptance, rate=0.5)
        return (z, step_size), jnp.log(step_size)

    first = start, jnp.asarray(0.1)
    (z, _), log_sizes = jax.lax.scan(body, first, jax.random.split(key, steps))
    # The last size alone depends on whether the last proposals were lucky.
    return z, jnp.exp(log_sizes[steps // 2 :].mean())


def from_posterior(log_q: jax.Array, log_joint: jax.Array) -> jax.Array:
    """log p(x) by 1/p(x) = E[q(z) / (p(z) p(x|z))], z from the posterior (appendix D).

    Args:
      log_q: log q(z) of each sample `[N]`.
      log_joint: log p(x, z) of each sample `[N]`.
    """
    log_ratios = log_q - log_joint
    return jnp.log(len(log_q)) - jax.nn.logsumexp(log_ratios)


def by_importance(
    key: jax.Array, log_joint: LogDensity, q: Gaussian, num: int, chunks: int = 10
) -> jax.Array:
    """log of the mean of p(x, z) / q(z) over `num` samples z from q, some at a time."""

    def some(key: jax.Array) -> jax.Array:
        z = q.sample(key, -(-num // chunks))
        return jax.vmap(log_joint)(z) - q.log_prob(z)

    log_weights = jax.lax.map(some, jax.random.split(key, chunks)).ravel()
    return jax.nn.logsumexp(log_weights) - jnp.log(len(log_weights))
