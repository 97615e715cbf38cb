"""A sampler of images whose latents are as straight, or as bent, as one likes.

Images are sums of principal components, weighed by normal factors w. Bent latents z are turned to
factors pair by pair, by an angle that grows with their length: z and w are equally distributed, so
that the samples are those of the straight sampler, and no metric of samples can tell the two apart.
Metrics of latents have to.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


class LinearSampler:
    """Principal components of images with their deviations.

    Args:
      images: `[N, H, W, C]` in [-1, 1].
      num_factors: components, an even number of them.
      turns: turns of a pair of latents of length 1; 0: latents are the factors.
    """

    def __init__(self, images: np.ndarray, num_factors: int, turns: float = 0.0):
        rows = images.reshape(len(images), -1)
        self.mean = rows.mean(0)
        _, singular, components = np.linalg.svd(rows - self.mean, full_matrices=False)
        deviations = singular[:num_factors] / np.sqrt(len(rows))
        self.directions = deviations[:, None] * components[:num_factors]
        self.shape = images.shape[1:]
        self.num_factors, self.turns = num_factors, turns

    def latents(self, key: jax.Array, num: int) -> jax.Array:
        """Normal `[num, F]`."""
        return jax.random.normal(key, (num, self.num_factors))

    def factors(self, z: jax.Array) -> jax.Array:
        """w of latents z, `[N, F]` each: of the same distribution, and pair by pair as long."""
        x, y = z[:, ::2], z[:, 1::2]
        angle = 2 * jnp.pi * self.turns * (x**2 + y**2)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        turned = jnp.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)
        return turned.reshape(z.shape)

    def __call__(self, z: jax.Array, key: jax.Array) -> np.ndarray:
        """Images `[N, H, W, C]` of latents `[N, F]`; there is no other noise."""
        del key
        rows = self.mean + np.asarray(self.factors(z)) @ self.directions
        return rows.reshape(-1, *self.shape).astype(np.float32)
