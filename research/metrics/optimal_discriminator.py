"""What a discriminator can come to: Goodfellow et al. 2014, arXiv:1406.2661, section 4.1.

Densities are logarithms `[N]` on a grid `x` `[N]`, at whose ends both of them have faded.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def optimal_discriminator(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """D*(x) = p(x) / (p(x) + q(x)) of data p and samples q (proposition 1, equation 2)."""
    return jax.nn.sigmoid(log_p - log_q)


def jensen_shannon(x: jax.Array, log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """JSD(p || q) in nats, by quadrature: 0 where they are equal, log 2 where they never meet."""
    log_middle = jnp.logaddexp(log_p, log_q) - jnp.log(2.0)
    divergences = [jnp.exp(log) * (log - log_middle) for log in (log_p, log_q)]
    return 0.5 * jnp.trapezoid(divergences[0] + divergences[1], x)


def virtual_criterion(x: jax.Array, log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """C(G) = max_D V(D, G) = -log 4 + 2 JSD(p || q) (equations 4 and 6)."""
    return -jnp.log(4.0) + 2 * jensen_shannon(x, log_p, log_q)


def value(x: jax.Array, log_p: jax.Array, log_q: jax.Array, logits: jax.Array) -> jax.Array:
    """V(D, G) = E_p[log D(x)] + E_q[log(1 - D(x))], by quadrature (equations 1 and 3).

    Args:
      x, log_p, log_q: see above.
      logits: of D, `[N]`.
    """
    on_data = jnp.exp(log_p) * jax.nn.log_sigmoid(logits)
    on_samples = jnp.exp(log_q) * jax.nn.log_sigmoid(-logits)
    return jnp.trapezoid(on_data + on_samples, x)
