"""The convolutional network of experiment 3: c64-c64-c128-1000."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.conv import Conv
from research.nn.max_pool import max_pool


class ConvClassifier(nn.Module):
    """Stages of a 5x5 convolution, ReLU and 3x3 max pooling of stride 2; then dense layers.

    Attributes:
      num_classes: K.
      channels: of the stages' convolutions.
      widths: units of the dense layers of ReLU before the softmax.
      dropout: rate on what the dense layers give.
      input_dropout: rate on the input.
      dtype: of the computation.
    """

    num_classes: int
    channels: Sequence[int] = (64, 64, 128)
    widths: Sequence[int] = (1000,)
    dropout: float = 0.0
    input_dropout: float = 0.0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, K]` of images `[B, S, S, C]`; `train`: dropout acts, by the key "dropout"."""
        start: dict[str, Any] = {"kernel_init": nn.initializers.he_normal(), "dtype": self.dtype}
        x = nn.Dropout(self.input_dropout)(x, deterministic=not train)
        for i, channels in enumerate(self.channels, 1):
            x = nn.relu(Conv(channels, 5, name=f"conv{i}", **start)(x))
            x = max_pool(x, 3, 2)
        x = x.reshape(len(x), -1)
        for i, width in enumerate(self.widths, 1):
            x = nn.relu(nn.Dense(width, name=f"dense{i}", **start)(x))
            x = nn.Dropout(self.dropout)(x, deterministic=not train)
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="softmax")(x)
        return logits.astype(jnp.float32), {}
