"""VGG (Simonyan and Zisserman, 2014, arXiv:1409.1556): stages of 3x3 convolutions, each halved by
max pooling, then fully-connected layers.

With hidden layers of 256 and 64 units, without dropout, it is the detector of Tobin et al. (2017,
arXiv:1703.06907, section III-B).
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.conv import Conv

_he = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class VGG(nn.Module):
    """Stages of convolutions, then fully-connected layers.

    Attributes:
      stages: channels of the convolutions of each stage.
      hidden: units of the fully-connected layers before the last.
      outputs: units of the last layer.
      dtype: of the computation; that of the parameters by default.
    """

    stages: Sequence[Sequence[int]]
    hidden: Sequence[int]
    outputs: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Maps images to outputs.

        Args:
          images: `[B, S, S, C]` in -1..1, S a multiple of 2^stages.

        Returns:
          `[B, outputs]` float32; "features", the last stage's, `[B, s, s, c]`.
        """
        x = images
        for channels in self.stages:
            for count in channels:
                x = nn.relu(Conv(count, 3, kernel_init=_he, dtype=self.dtype)(x))
            x = halved(x)
        features = x
        x = x.reshape(len(x), -1)
        for units in self.hidden:
            x = nn.relu(nn.Dense(units, kernel_init=_he, dtype=self.dtype)(x))
        return nn.Dense(self.outputs)(x.astype(jnp.float32)), {"features": features}


def halved(x: jax.Array) -> jax.Array:
    """Max pooling over 2x2: `[B, 2 H, 2 W, C]` to `[B, H, W, C]`.

    It reshapes, whose gradient is fast on CPUs too.
    """
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
