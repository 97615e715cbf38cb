"""Binary cross-entropy objectives of generative adversarial nets, on logits.

Source: Goodfellow et al. 2014, "Generative Adversarial Nets", equation 1 and section 3 (the
non-saturating generator loss); used unchanged by Radford et al. 2015 (DCGAN).

Everything is written with `softplus`, because `log(sigmoid(x)) = -softplus(-x)` and
`log(1 - sigmoid(x)) = -softplus(x)` stay finite, with live gradients, for logits of any size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """-E[log D(x)] - E[log(1 - D(G(z)))], the discriminator's loss, a scalar.

    Args:
        real_logits: D's logits on data, any shape.
        fake_logits: D's logits on samples, any shape.

    At the optimum for equal distributions it is 2 log 2.
    """
    return jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))


def generator_loss(fake_logits: jax.Array, *, saturating: bool = False) -> jax.Array:
    """The generator's loss on D's logits of its samples (any shape), a scalar.

    Non-saturating (default): -E[log D(G(z))], whose gradient is largest where D is sure that the
    sample is false. Saturating: E[log(1 - D(G(z)))], the minimax game's own term, whose gradient
    vanishes there.
    """
    if saturating:
        return -jnp.mean(jax.nn.softplus(fake_logits))
    return jnp.mean(jax.nn.softplus(-fake_logits))
