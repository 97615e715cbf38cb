"""Predictors of a reward from observations and actions.

Christiano et al., 2017, arXiv:1706.03741, appendix A.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.core.errors import check_choice
from research.nn.conv import Conv

VARIANTS = ("mlp", "atari")
_SLOPE = 0.01  # of the leaky ReLUs where negative
_CONVOLUTIONS = ((7, 3), (5, 2), (3, 1), (3, 1))  # kernel, stride; 16 filters each


class RewardModel(nn.Module):
    """Predicts rewards of steps, each by itself.

    The last layer has no bias: it would cancel in every comparison of clips of one length. What the
    paper does not say: convolutions are not padded, and the mean over a clip's frames is no part of
    what batch normalisation keeps apart: a batch is all frames of all clips.

    Attributes:
      variant: "mlp", two layers of 64 on observation and action (A.1); "atari", four convolutions
        with batch normalisation and dropout, then 64 units, on images alone (A.2).
      num_actions: of discrete actions, which an "mlp" takes one-hot; 0 for continuous ones.
      dropout: rate, after every convolution.
      dtype: type of the computation; parameters are float32.
    """

    variant: str = "mlp"
    num_actions: int = 0
    dropout: float = 0.0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(
        self, observation: jax.Array, action: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Predicts rewards.

        Args:
          observation: `[B, ...]`, images uint8.
          action: `[B]` int, or `[B, A]` where continuous.
          train: with dropout, and with batch statistics of this very batch.

        Returns:
          Rewards `[B]` float32, and `{"features": [B, 64]}`.
        """
        check_choice("reward.variant", self.variant, VARIANTS)
        x = observation
        if x.dtype == jnp.uint8:
            x = x.astype(self.dtype or jnp.float32) / 255
        if self.variant == "mlp":
            if self.num_actions:
                action = jax.nn.one_hot(action, self.num_actions)
            x = jnp.concatenate([x.reshape(len(x), -1), action], axis=1)
            x = self._activated(nn.Dense(64, dtype=self.dtype)(x))
        else:
            for kernel, stride in _CONVOLUTIONS:
                x = Conv(16, kernel, stride, "VALID", use_bias=False, dtype=self.dtype)(x)
                x = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype)(x)
                x = nn.Dropout(self.dropout, deterministic=not train)(self._activated(x))
            x = x.reshape(len(x), -1)
        x = self._activated(nn.Dense(64, dtype=self.dtype)(x))
        reward = nn.Dense(1, use_bias=False, dtype=self.dtype, name="reward")(x)
        return reward[:, 0].astype(jnp.float32), {"features": x}

    def _activated(self, x: jax.Array) -> jax.Array:
        return nn.leaky_relu(x, _SLOPE)
