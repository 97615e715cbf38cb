"""The paper's pictures: a manifold of two latents, samples, reconstructions."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtri


def manifold_latents(side: int) -> Array:
    """Latents `[side * side, 2]` of a picture of the learned manifold (figure 4).

    A regular grid of the unit square, whose coordinates go through the inverse of the Gaussian's
    cumulative distribution: every cell has the same probability under the prior. The first latent
    grows from left to right, the second from bottom to top.
    """
    centres = (jnp.arange(side) + 0.5) / side
    across, up = jnp.meshgrid(ndtri(centres), ndtri(centres)[::-1])
    return jnp.stack([across.ravel(), up.ravel()], -1)
