"""Discriminator of state-action pairs (Ho and Ermon, 2016, arXiv:1606.03476, section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype


class PairDiscriminator(nn.Module):
    """Gives a pair the logit of D(s, a), the probability that it is the policy's, not the expert's.

    Attributes:
      num_actions: A for discrete actions, which enter as one of A; 0 for continuous ones.
      hidden: units of the hidden layers, with tanh.
      dtype: type of the computation; parameters are float32.
    """

    num_actions: int
    hidden: Sequence[int] = (100, 100)
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, action: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Tells pairs apart.

        Args:
          x: observations `[B, D]`.
          action: `[B]` int, or `[B, A]` where continuous.

        Returns:
          Logits `[B]` float32, and `{"features": [B, F]}`, the last hidden layer.
        """
        if self.num_actions:
            action = jax.nn.one_hot(action, self.num_actions)
        x = jnp.concatenate([x, action], axis=-1)
        for units in self.hidden:
            x = nn.tanh(nn.Dense(units, dtype=self.dtype)(x))
        return nn.Dense(1, dtype=self.dtype)(x)[:, 0].astype(jnp.float32), {"features": x}
