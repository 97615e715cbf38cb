"""VGG (Simonyan and Zisserman, 2014, arXiv:1409.1556): stages of 3x3 convolutions, each halved by
max pooling, then fully-connected layers.

With hidden layers of 256 and 64 units, without dropout, it is the detector of Tobin et al. (2017,
arXiv:1703.06907, section III-B).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.typing import Dtype

from research.models import lpips
from research.models.sizes import VGG16
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
          `[B, outputs]` float32; "features", the last stage's, `[B, s, s, c]`; "hidden", the last
          layer but one, `[B, units]`.
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
        maps = {"features": features, "hidden": x}
        return nn.Dense(self.outputs)(x.astype(jnp.float32)), maps


VGG16_HIDDEN = (4096, 4096)
_RELEASED_DENSE = (0, 3, 6)  # places among torchvision's `classifier`


def vgg16(outputs: int = 1000) -> VGG:
    """VGG16 for 224x224 pixels: 138,357,544 parameters with 1,000 outputs."""
    return VGG(VGG16, VGG16_HIDDEN, outputs)


def released_params(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Parameters of `vgg16` from released ones, named and laid out as torchvision has them.

    Its first dense layer takes maps channel by channel, ours pixel by pixel.

    Args:
      arrays: "features.0.weight" `[64, 3, 3, 3]` (out, in, height, width) and so on.

    Raises:
      KeyError: one is missing.
    """
    params = lpips.released_params("vgg16", arrays)
    for i, j in enumerate(_RELEASED_DENSE):
        weight = arrays[f"classifier.{j}.weight"]  # [out, in]
        if i == 0:
            channels = VGG16[-1][-1]
            side = round((weight.shape[1] / channels) ** 0.5)
            weight = weight.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
            weight = weight.reshape(len(weight), -1)
        params[f"Dense_{i}"] = {"kernel": weight.T, "bias": arrays[f"classifier.{j}.bias"]}
    return params


def halved(x: jax.Array) -> jax.Array:
    """Max pooling over 2x2: `[B, 2 H, 2 W, C]` to `[B, H, W, C]`.

    It reshapes, whose gradient is fast on CPUs too.
    """
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
