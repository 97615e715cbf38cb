"""The networks of AlphaGo (2016), AlphaGo Zero and AlphaZero (2017), for boards of any size."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.conv import Conv

# Of ReLU networks (He et al., 2015): deviation sqrt(2 / n), n weights to an output.
he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")

# As `momentum` of `flax.linen.BatchNorm`: the weight of the old value in the running averages.
BATCH_NORM_MOMENTUM = 0.9


class PolicyValueNetwork(nn.Module):
    """One residual network with two heads (AlphaGo Zero, Methods, «Neural network architecture»).

    A 3x3 convolution, `blocks` residual blocks of two, and heads: for the policy two 1x1 filters
    and a dense layer, for the value one 1x1 filter, a dense layer, ReLU, and tanh. Convolutions
    have no bias, for a batch normalization follows each.

    Attributes:
      blocks: 19 or 39 in the paper's networks of «20» and «40 blocks».
      filters: 256 in the paper.
      value_hidden: width of the value head's layer, 256 in the paper.
      num_actions: A.
      dtype: of the computation; batch statistics and outputs are always float32.
    """

    blocks: int
    filters: int
    value_hidden: int
    num_actions: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, planes: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Judges positions.

        Args:
          planes: `[B, H, W, C]`.
          train: normalize by the batch's statistics and update the running averages. In self-play
            and search never: a move must not depend on the other games.

        Returns:
          Logits `[B, A]` and values `[B]` in -1 to 1, for the player to move.
        """

        def conv_norm(x: jax.Array, features: int, size: int, name: str) -> jax.Array:
            x = Conv(
                features,
                size,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=he_normal,
                name=f"{name}_conv",
            )(x)
            return nn.BatchNorm(
                use_running_average=not train,
                momentum=BATCH_NORM_MOMENTUM,
                dtype=self.dtype,
                name=f"{name}_norm",
            )(x)

        x = nn.relu(conv_norm(planes.astype(self.dtype), self.filters, 3, "stem"))
        for i in range(self.blocks):
            y = nn.relu(conv_norm(x, self.filters, 3, f"block{i + 1}_1"))
            x = nn.relu(x + conv_norm(y, self.filters, 3, f"block{i + 1}_2"))

        flat = planes.shape[0], -1
        policy = nn.relu(conv_norm(x, 2, 1, "policy")).astype(jnp.float32).reshape(flat)
        logits = nn.Dense(self.num_actions, name="policy_logits")(policy)
        value = nn.relu(conv_norm(x, 1, 1, "value")).astype(jnp.float32).reshape(flat)
        value = nn.relu(nn.Dense(self.value_hidden, name="value_hidden")(value))
        value = nn.Dense(1, name="value_output")(value)
        return logits, jnp.tanh(value[:, 0])


class PolicyNetwork(nn.Module):
    """The policy network of AlphaGo (2016, Methods, «Neural network architecture»).

    A 5x5 convolution, more of 3x3, and one 1x1 filter with a bias of its own for every point. It
    knows points alone and no pass.

    Attributes:
      filters: k, 192 in the version that played.
      layers: of the convolutions before the last one, 12 in the paper.
    """

    filters: int
    layers: int = 12

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """Logits `[B, P]` of the points, for planes `[B, H, W, C]`."""
        x = _tower(planes, self.filters, self.layers)
        x = Conv(1, 1, use_bias=False, name="output")(x)
        points = x.reshape(len(x), -1)
        return points + self.param("position_bias", nn.initializers.zeros, points.shape[1:])


class ValueNetwork(nn.Module):
    """The value network of AlphaGo (2016): as the policy network, and a dense layer of 256.

    Attributes:
      filters: 192 in the paper.
      layers: of the convolutions before the last one, 12 in the paper.
      hidden: 256 in the paper.
    """

    filters: int
    layers: int = 12
    hidden: int = 256

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """Values `[B]` in -1 to 1 of the outcome for the player to move.

        Args:
          planes: `[B, H, W, C]`; the paper adds the colour to move to those of the policy.
        """
        x = _tower(planes, self.filters, self.layers)
        x = Conv(1, 1, name="output")(x).reshape(len(x), -1)
        x = nn.relu(nn.Dense(self.hidden, name="hidden")(x))
        return jnp.tanh(nn.Dense(1, name="value_output")(x)[:, 0])


def _tower(planes: jax.Array, filters: int, layers: int) -> jax.Array:
    x = planes
    for i in range(layers):
        size = 5 if i == 0 else 3
        x = nn.relu(Conv(filters, size, kernel_init=he_normal, name=f"conv{i + 1}")(x))
    return x
