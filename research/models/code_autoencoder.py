"""The de-noising ReLU autoencoder whose codes find near-duplicate images: 3072-128-3072.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 4.1.1. Trained on 32x32 images.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn


class CodeAutoencoder(nn.Module):
    """Dropped-out pixels -> ReLU code -> pixels.

    Attributes:
        code: number of code units.
        dropout: share of the inputs set to zero in training.
    """

    code: int = 128
    dropout: float = 0.5

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool
                 ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Reconstructions like `images` [B, 32, 32, 3] in [-1, 1], and {"code": [B, code]}."""
        x = images.reshape(len(images), -1)
        size = x.shape[-1]
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        code = nn.relu(nn.Dense(self.code, name="encode")(x))
        return nn.Dense(size, name="decode")(code).reshape(images.shape), {"code": code}


def reconstruction_loss(reconstruction: jax.Array, images: jax.Array) -> jax.Array:
    """Mean squared error per pixel, a scalar."""
    return jnp.mean((reconstruction - images) ** 2)
