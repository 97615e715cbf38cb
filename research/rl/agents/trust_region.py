"""Natural gradient steps within a trust region (Schulman et al. 2015, arXiv:1502.05477)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

Vector = jax.Array


class TrustRegionStep(NamedTuple):
    """What a step did.

    Attributes:
      params: after it; unchanged where no fraction of the step was accepted.
      kl: divergence from before it, nats.
      improvement: of the surrogate.
      expected: improvement by the linear model, of the fraction accepted.
      fraction: of the full step; 0 where none was accepted.
    """

    params: Any
    kl: jax.Array
    improvement: jax.Array
    expected: jax.Array
    fraction: jax.Array


class LineSearch(NamedTuple):
    """What a line search found.

    Attributes:
      params: `[P]`, after the step; unchanged where no fraction of it was accepted.
      kl: divergence from before it, nats.
      improvement: of the surrogate.
      fraction: of the full step; 0 where none was accepted.
    """

    params: Vector
    kl: jax.Array
    improvement: jax.Array
    fraction: jax.Array


def conjugate_gradient(
    product: Callable[[Vector], Vector], b: Vector, iterations: int, tolerance: float = 1e-10
) -> Vector:
    """Approximately solves `A x = b` for a symmetric positive definite A (appendix C).

    Args:
      product: `v -> A v`.
      b: `[P]`.
      iterations: at most so many.
      tolerance: nothing changes any more once the squared residual is below it.
    """

    def body(_: jax.Array, loop: tuple[Vector, ...]) -> tuple[Vector, ...]:
        x, residual, direction, size = loop
        image = product(direction)
        # Past convergence numerator and denominator vanish together.
        going = size > tolerance
        length = jnp.where(going, size / jnp.where(going, direction @ image, 1.0), 0.0)
        x, residual = x + length * direction, residual - length * image
        after = residual @ residual
        turn = jnp.where(going, after / jnp.where(going, size, 1.0), 0.0)
        return x, residual, residual + turn * direction, after

    start = jnp.zeros_like(b), b, b, b @ b
    return jax.lax.fori_loop(0, iterations, body, start)[0]


def fisher_product(kl: Callable[[Vector], jax.Array], params: Vector, v: Vector) -> Vector:
    """Multiplies a vector `v` by the Fisher matrix at `params` `[P]`.

    There it is the second derivative of the mean divergence `kl(new params)` from the policy of
    `params` itself (appendix C).
    """
    return jax.jvp(jax.grad(kl), (params,), (v,))[1]


def line_search(
    params: Vector,
    full_step: Vector,
    surrogate: Callable[[Vector], jax.Array],
    kl: Callable[[Vector], jax.Array],
    *,
    kl_limit: float,
    backtracks: int,
) -> LineSearch:
    """Finds the largest of the fractions 1, 1/2, 1/4 ... of a step that neither lowers the
    surrogate nor leaves the trust region (appendix C).

    Args:
      params: `[P]`.
      full_step: `[P]`.
      surrogate: of parameters, to be raised.
      kl: of parameters, mean divergence of the policy of `params` from theirs.
      kl_limit: of the mean divergence, delta.
      backtracks: number of fractions tried; 1 takes the full step or none. 0 takes the full step
        untried: the natural gradient without a line search.
    """
    before = surrogate(params)

    def measure(fraction: jax.Array) -> tuple[jax.Array, jax.Array]:
        new = params + fraction * full_step
        return surrogate(new) - before, kl(new)

    def accepted(improvement: jax.Array, divergence: jax.Array) -> jax.Array:
        # NaN fails both comparisons, so what is not a number is rejected.
        return (improvement >= 0) & (divergence <= kl_limit)

    def shorten(loop: Any) -> Any:
        tried, fraction, _, _ = loop
        fraction = fraction / 2
        return tried + 1, fraction, *measure(fraction)

    one = jnp.ones(())
    _, fraction, improvement, divergence = jax.lax.while_loop(
        lambda loop: (loop[0] < backtracks) & ~accepted(*loop[2:]),
        shorten,
        (jnp.int32(1), one, *measure(one)),
    )
    good = accepted(improvement, divergence) if backtracks else jnp.ones((), bool)
    fraction = jnp.where(good, fraction, 0.0)
    return LineSearch(
        params=jnp.where(good, params + fraction * full_step, params),
        kl=jnp.where(good, divergence, 0.0),
        improvement=jnp.where(good, improvement, 0.0),
        fraction=fraction,
    )


def trust_region_step(
    params: Any,
    surrogate: Callable[[Any], jax.Array],
    kl: Callable[[Any], jax.Array],
    *,
    kl_for_fisher: Callable[[Any], jax.Array] | None = None,
    kl_limit: float,
    damping: float,
    iterations: int,
    backtracks: int,
) -> TrustRegionStep:
    """Takes the natural gradient step as far as the trust region goes (section 6, appendix C).

    Args:
      params: any pytree.
      surrogate: of parameters, to be raised (equation 14's objective).
      kl: of parameters, mean divergence of the policy of `params` from theirs.
      kl_for_fisher: the same over fewer states, which suffice for the Fisher matrix; default `kl`.
      kl_limit: of the mean divergence, delta.
      damping: added to the Fisher matrix's diagonal.
      iterations: of conjugate gradient.
      backtracks: as of `line_search`.
    """
    theta, unravel = ravel_pytree(params)

    def of_vector(function: Callable[[Any], jax.Array]) -> Callable[[Vector], jax.Array]:
        return lambda x: function(unravel(x))

    gradient = jax.grad(of_vector(surrogate))(theta)
    curvature = of_vector(kl_for_fisher or kl)

    def product(v: Vector) -> Vector:
        return fisher_product(curvature, theta, v) + damping * v

    direction = conjugate_gradient(product, gradient, iterations)
    # The quadratic model of the divergence is then as large as the limit.
    size = direction @ product(direction)
    full_step = direction * jnp.sqrt(2 * kl_limit / jnp.maximum(size, 1e-12))
    found = line_search(
        theta,
        full_step,
        of_vector(surrogate),
        of_vector(kl),
        kl_limit=kl_limit,
        backtracks=backtracks,
    )
    taken = found.fraction > 0
    return TrustRegionStep(
        params=unravel(found.params),
        kl=found.kl,
        improvement=found.improvement,
        expected=jnp.where(taken, found.fraction * (gradient @ full_step), 0.0),
        fraction=found.fraction,
    )
