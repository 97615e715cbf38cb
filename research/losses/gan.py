"""Objectives of generative adversarial nets: losses of a discriminator, or critic, and a generator.

Sources:
  bce: Goodfellow et al. 2014, "Generative Adversarial Nets", equation 1 and section 3 (the
    non-saturating generator loss); used unchanged by Radford et al. 2015 (DCGAN).
  wasserstein: Arjovsky et al. 2017, arXiv:1701.07875, equations 2 and 3.
  hinge: Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16, 17.
  least_squares: Mao et al. 2016, arXiv:1611.04076, equation 9, with labels 0 and 1.
  gradient_penalty: Gulrajani et al. 2017, arXiv:1704.00028, equation 3.

All losses take logits (scores) of any shape, never probabilities, and return a scalar to minimise.
The cross-entropies are written with `softplus`, because `log(sigmoid(x)) = -softplus(-x)` and
`log(1 - sigmoid(x)) = -softplus(x)` stay finite, with live gradients, for logits of any size.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

# Of a gradient shorter than this the penalty's own gradient is 0: that of its length is undefined.
_MIN_SLOPE = 1e-12


def bce_discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """Returns -E[log D(x)] - E[log(1 - D(G(z)))].

    At the optimum for equal distributions it is 2 log 2.

    Args:
      real_logits: D's logits on data.
      fake_logits: D's logits on samples.
    """
    return jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))


def bce_generator_loss(fake_logits: jax.Array, *, saturating: bool = False) -> jax.Array:
    """Returns -E[log D(G(z))], whose gradient is largest where D is sure that a sample is false.

    Args:
      fake_logits: D's logits on samples.
      saturating: take E[log(1 - D(G(z)))], the minimax game's own term, whose gradient vanishes
        there.
    """
    if saturating:
        return -jnp.mean(jax.nn.softplus(fake_logits))
    return jnp.mean(jax.nn.softplus(-fake_logits))


def wasserstein_critic_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """Returns E[f(G(z))] - E[f(x)]; its negative estimates the distance, if f is 1-Lipschitz."""
    return jnp.mean(fake_scores) - jnp.mean(real_scores)


def wasserstein_generator_loss(fake_scores: jax.Array) -> jax.Array:
    """Returns -E[f(G(z))]."""
    return -jnp.mean(fake_scores)


def hinge_discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """Returns E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]: no gradient beyond the margin."""
    return jnp.mean(jax.nn.relu(1 - real_logits)) + jnp.mean(jax.nn.relu(1 + fake_logits))


def hinge_generator_loss(fake_logits: jax.Array) -> jax.Array:
    """Returns -E[D(G(z))]."""
    return -jnp.mean(fake_logits)


def least_squares_discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """Returns E[(D(x) - 1)^2] / 2 + E[D(G(z))^2] / 2."""
    return 0.5 * jnp.mean((real_logits - 1) ** 2) + 0.5 * jnp.mean(fake_logits**2)


def least_squares_generator_loss(fake_logits: jax.Array) -> jax.Array:
    """Returns E[(D(G(z)) - 1)^2] / 2."""
    return 0.5 * jnp.mean((fake_logits - 1) ** 2)


def gradient_penalty(
    critic: Callable[[jax.Array], jax.Array],
    real: jax.Array,
    fake: jax.Array,
    key: jax.Array,
    *,
    slope: float = 1.0,
) -> jax.Array:
    """Returns E[(|grad f(x)| - slope)^2] at random points x between data and samples.

    Args:
      critic: f, from inputs `[B, ...]` to scores `[B]`, each of its own input alone. It must have
        no batch norm, which makes a score depend on the other inputs (section 4).
      real: data `[B, ...]`.
      fake: samples `[B, ...]`.
      key: of the places on the lines between them.
      slope: the length that gradients are drawn to.
    """
    share = jax.random.uniform(key, (len(real), *[1] * (real.ndim - 1)), real.dtype)
    between = real + share * (fake - real)
    gradient = jax.grad(lambda x: critic(x).sum())(between)
    length = optax.safe_norm(gradient.reshape(len(gradient), -1), _MIN_SLOPE, axis=-1)
    return jnp.mean((length - slope) ** 2)
