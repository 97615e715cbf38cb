"""Hamiltonian (hybrid) Monte Carlo: samples from a density that is known up to a factor.

Every function is of one chain; `jax.vmap` makes them of many.

Sources: Duane et al. 1987; Neal 2011, arXiv:1206.1901, section 3.2; step sizes by stochastic
approximation as in Andrieu and Thoms 2008, section 4.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

LogDensity = Callable[[jax.Array], jax.Array]


def hmc_step(
    key: jax.Array,
    log_density: LogDensity,
    z: jax.Array,
    step_size: jax.Array | float,
    num_leapfrog: int,
) -> tuple[jax.Array, jax.Array]:
    """Proposes the end of a trajectory from z with a new momentum, and accepts or rejects it.

    The density is left invariant whatever the step size.

    Args:
      key: of momentum and acceptance.
      log_density: of z `[Z]`, up to a constant.
      z: where the chain is, `[Z]`.
      step_size: of the leapfrog; a trajectory's own is drawn within 20 % of it, so that none comes
        back to where it began each time (Neal 2011, section 3.2).
      num_leapfrog: steps of a trajectory; as many gradients, and one more.

    Returns:
      Where the chain goes on, `[Z]`, and the probability of acceptance.
    """
    momentum_key, accept_key, size_key = jax.random.split(key, 3)
    step_size = step_size * jax.random.uniform(size_key, minval=0.8, maxval=1.2)
    momentum = jax.random.normal(momentum_key, z.shape)
    before = log_density(z) - 0.5 * jnp.sum(momentum**2)
    proposed, end = leapfrog(log_density, z, momentum, step_size, num_leapfrog)
    after = log_density(proposed) - 0.5 * jnp.sum(end**2)
    # A trajectory that diverged is not a number: it is rejected.
    log_ratio = jnp.where(jnp.isfinite(after), after - before, -jnp.inf)
    acceptance = jnp.exp(jnp.minimum(log_ratio, 0.0))
    accepted = jax.random.uniform(accept_key) < acceptance
    return jnp.where(accepted, proposed, z), acceptance


def leapfrog(
    log_density: LogDensity,
    z: jax.Array,
    momentum: jax.Array,
    step_size: jax.Array | float,
    num_leapfrog: int,
) -> tuple[jax.Array, jax.Array]:
    """Follows Hamilton's equations for a while: half steps of the momentum around steps of z.

    Returns:
      Position and momentum at the end. It is reversible: from there with the momentum turned round
      it leads back.
    """
    gradient = jax.grad(log_density)

    def body(_: int, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        z, momentum, force = carry
        momentum = momentum + 0.5 * step_size * force
        z = z + step_size * momentum
        force = gradient(z)
        return z, momentum + 0.5 * step_size * force, force

    z, momentum, _ = jax.lax.fori_loop(0, num_leapfrog, body, (z, momentum, gradient(z)))
    return z, momentum


def adapted(
    step_size: jax.Array, acceptance: jax.Array, *, target: float = 0.9, rate: float = 0.1
) -> jax.Array:
    """A larger step size after more acceptance than `target`, a smaller one after less.

    It stays where the mean acceptance is the target. Detailed balance asks that it is left alone
    while samples are kept.
    """
    return step_size * jnp.exp(rate * (acceptance - target))
