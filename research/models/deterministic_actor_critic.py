"""Actor and critic of DDPG (Lillicrap et al., 2015, arXiv:1509.02971, section 7).

The last layers begin within +-3e-3, so that first actions and values are near zero; all others
within +-1/sqrt(fan_in). The action enters the critic in its second layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn import fan_in

NORMALIZATIONS = ("none", "batch", "layer")
_LAST_BOUND = 3e-3


class Actor(nn.Module):
    """Maps an observation to one action.

    Attributes:
      action_size: A.
      hidden: units of the hidden layers, with ReLUs.
      normalization: "batch" normalizes the observation and every hidden layer over the batch
        (section 3); "layer" every hidden layer over its units; "none" nothing.
      dtype: type of the computation; parameters are float32.
    """

    action_size: int
    hidden: Sequence[int] = (400, 300)
    normalization: str = "none"
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The actions.

        Args:
          x: `[B, D]`.
          train: batch normalization, if any, is over this batch.

        Returns:
          Actions `[B, A]` float32 in (-1, 1), and `{"preactivation": [B, A]}`, what the tanh was
          taken of.
        """
        x = _input(x, self.normalization, train, self.dtype)
        for units in self.hidden:
            x = _hidden(x, units, self.normalization, train, self.dtype)
        x = _last(x, self.action_size, self.dtype).astype(jnp.float32)
        return jnp.tanh(x), {"preactivation": x}


class Critic(nn.Module):
    """Maps an observation and an action to a value.

    Attributes:
      hidden: units of the hidden layers, with ReLUs.
      normalization: as the actor's; what follows the action is never normalized over the batch.
      dtype: type of the computation; parameters are float32.
      action_layer: the hidden layer that the action is an input of; 0 is the first.
    """

    hidden: Sequence[int] = (400, 300)
    normalization: str = "none"
    dtype: Dtype | None = None
    action_layer: int = 1

    @nn.compact
    def __call__(
        self, x: jax.Array, action: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The values of actions.

        Args:
          x: `[B, D]`.
          action: `[B, A]`.
          train: batch normalization, if any, is over this batch.

        Returns:
          Values `[B]` float32, and `{"features": [B, F]}`, the last hidden layer.
        """
        x = _input(x, self.normalization, train, self.dtype)
        kind = self.normalization
        for i, units in enumerate(self.hidden):
            if i == self.action_layer:
                x = jnp.concatenate([x, action.astype(x.dtype)], axis=-1)
                # Batch normalization is of what comes before the action alone (section 3).
                kind = "none" if kind == "batch" else kind
            x = _hidden(x, units, kind, train, self.dtype)
        return _last(x, 1, self.dtype)[:, 0].astype(jnp.float32), {"features": x}


def _input(x: jax.Array, normalization: str, train: bool, dtype: Dtype | None) -> jax.Array:
    return _batch_norm(x, train, dtype) if normalization == "batch" else x


def _hidden(
    x: jax.Array, units: int, normalization: str, train: bool, dtype: Dtype | None
) -> jax.Array:
    x = fan_in.dense(units, x.shape[-1], dtype=dtype)(x)
    if normalization == "batch":
        x = _batch_norm(x, train, dtype)
    elif normalization == "layer":
        x = nn.LayerNorm(dtype=dtype)(x)
    return nn.relu(x)


def _batch_norm(x: jax.Array, train: bool, dtype: Dtype | None) -> jax.Array:
    return nn.BatchNorm(use_running_average=not train, momentum=0.99, dtype=dtype)(x)


def _last(x: jax.Array, units: int, dtype: Dtype | None) -> jax.Array:
    bound = fan_in.within(_LAST_BOUND)
    return nn.Dense(units, dtype=dtype, kernel_init=bound, bias_init=bound, name="last")(x)
