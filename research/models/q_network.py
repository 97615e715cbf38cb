"""Action values from a vector: a multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.fan_in import dense


class QNetwork(nn.Module):
    """Maps an observation to one value per action.

    Attributes:
      num_actions: A.
      hidden: units of the hidden layers, with ReLUs.
      dtype: type of the computation; parameters are float32.
    """

    num_actions: int
    hidden: Sequence[int] = (256,)
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Values of all actions.

        Args:
          x: `[B, D]`.
          train: has no effect.

        Returns:
          Values `[B, A]` float32, and `{"features": [B, F]}`, the last hidden layer.
        """
        del train
        for units in self.hidden:
            x = nn.relu(dense(units, x.shape[-1], dtype=self.dtype)(x))
        q = dense(self.num_actions, x.shape[-1], dtype=self.dtype, name="q")(x)
        return q.astype(jnp.float32), {"features": x}
