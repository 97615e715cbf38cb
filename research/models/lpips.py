"""The convolutions that LPIPS looks at images through (Zhang et al. 2018, arXiv:1801.03924).

They are those of torchvision's VGG16 and AlexNet, without the dense layers, so that images may have
any size; every stage's last rectified map is a tap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from research.models.sizes import VGG16
from research.nn.conv import Conv


class Stage(NamedTuple):
    """Convolutions behind a pool.

    Attributes:
      pool: window of the max pool of stride 2 before them, of whole windows; 0 for none.
      channels: of each convolution.
      kernel, stride, padding: of each.
    """

    pool: int
    channels: tuple[int, ...]
    kernel: int = 3
    stride: int = 1
    padding: int = 1


# Taps are relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 of VGG16, all five of AlexNet.
STAGES = {
    "vgg16": tuple(Stage(2 if i else 0, channels) for i, channels in enumerate(VGG16)),
    "alexnet": (
        Stage(0, (64,), 11, 4, 2),
        Stage(3, (192,), 5, 1, 2),
        Stage(3, (384,)),
        Stage(0, (256,)),
        Stage(0, (256,)),
    ),
}
# Places of the convolutions among torchvision's `features`.
_RELEASED = {
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "alexnet": (0, 3, 6, 8, 10),
}


class Taps(nn.Module):
    """Maps of images, one of each stage.

    Attributes:
      stages: such as `STAGES["vgg16"]`.
    """

    stages: tuple[Stage, ...]

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Rectified maps `[B, h, w, c]` of images `[B, H, W, 3]`, normalized as ImageNet's."""
        x, taps = images, []
        for stage in self.stages:
            if stage.pool:
                x = nn.max_pool(x, (stage.pool, stage.pool), (2, 2))
            for channels in stage.channels:
                x = nn.relu(Conv(channels, stage.kernel, stage.stride, stage.padding)(x))
            taps.append(x)
        return taps


def released_params(network: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Parameters of `Taps` from released ones, named and laid out as torchvision has them.

    Args:
      network: "vgg16" or "alexnet".
      arrays: "features.0.weight" `[64, 3, 3, 3]` (out, in, height, width) and so on.

    Raises:
      KeyError: one is missing.
    """
    return {
        f"Conv_{i}": {
            "kernel": arrays[f"features.{j}.weight"].transpose(2, 3, 1, 0),
            "bias": arrays[f"features.{j}.bias"],
        }
        for i, j in enumerate(_RELEASED[network])
    }
