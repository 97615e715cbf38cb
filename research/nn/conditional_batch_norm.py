"""Batch norm whose scale and offset depend on a class (Dumoulin et al. 2016, arXiv:1610.07629)."""

from __future__ import annotations

import jax
from flax import linen as nn
from flax.typing import Dtype


class ConditionalBatchNorm(nn.Module):
    """Normalises by batch statistics, then scales and shifts each row by its own class.

    Attributes:
      momentum: of the running statistics.
      epsilon: added to the variance.
      dtype: of the computation.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, label: jax.Array, *, train: bool) -> jax.Array:
        """Normalises maps.

        Args:
          x: `[B, H, W, C]`.
          label: `[B, K]`, one-hot; weights of several classes mix their scales and offsets.
          train: by the statistics of this batch; otherwise by the running ones.
        """
        x = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=False,
            use_bias=False,
            dtype=self.dtype,
            name="statistics",
        )(x)
        shape = (label.shape[-1], x.shape[-1])
        scale = label @ self.param("scale", nn.initializers.ones_init(), shape)
        offset = label @ self.param("offset", nn.initializers.zeros_init(), shape)
        return (x * scale[:, None, None] + offset[:, None, None]).astype(x.dtype)
