"""Plain and highway networks of one width: Highway Networks (Srivastava et al., 2015)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Dtype

from research.nn.conv import Conv
from research.nn.highway import GatedBlock
from research.nn.max_pool import max_pool

ACTIVATIONS = {"relu": nn.relu, "tanh": jnp.tanh}
INITIALIZERS = {
    "he": initializers.he_normal(),
    # A careful start, that plain layers need: the deviations of activations and of gradients stay
    # what they are (Saxe et al., 2013). ReLU halves the power, which the gain gives back.
    "orthogonal_relu": initializers.orthogonal(2**0.5),
    "orthogonal": initializers.orthogonal(1.0),
}


class DeepMLP(nn.Module):
    """A fully connected network of section 3.1: a plain layer, then layers of one width, a softmax.

    Attributes:
      depth: hidden layers, the first plain one included: 10, 20, 50 or 100 in the paper.
      width: units of each: 50 with gates, 71 without, which makes as many parameters.
      num_classes: K.
      block: "plain" or "highway", see `research.nn.highway`.
      activation: "relu" or "tanh".
      initializer: of all kernels, one of `INITIALIZERS`.
      transform_bias: of the gates at the start.
      dtype: of the computation.
    """

    depth: int
    width: int
    num_classes: int
    block: str
    activation: str = "relu"
    initializer: str = "he"
    transform_bias: float = -1.0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, removed: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Classifies inputs `[B, ...]`, which are flattened.

        Args:
          x: the inputs.
          removed: `[depth - 1]` of bool, the layers that are replaced by the identity.
          train: of no effect.

        Returns:
          Logits `[B, K]`; and "gates" `[depth - 1, B, width]`, T of each layer and unit.
        """
        layer = functools.partial(nn.Dense, self.width, dtype=self.dtype)
        kernel_init, activation = INITIALIZERS[self.initializer], ACTIVATIONS[self.activation]
        x = x.reshape(len(x), -1)
        x = activation(layer(kernel_init=kernel_init, name="first")(x))
        if removed is None:
            removed = jnp.zeros(self.depth - 1, bool)
        # One layer is compiled, whatever the depth; their parameters are `[depth - 1, ...]`.
        stack = nn.scan(
            GatedBlock,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.depth - 1,
        )
        x, gates = stack(
            layer, self.block, activation, kernel_init, self.transform_bias, name="layers"
        )(x, removed)
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="softmax")(x)
        return logits.astype(jnp.float32), {"gates": gates}


class DeepConvNet(nn.Module):
    """A convolutional network whose layers of unchanged width are highway layers (section 3.2).

    A stage begins with a plain layer, which changes the width, and ends in max pooling over 2x2,
    the last in the average over all positions. Gates are convolutions of the same shape as H.

    Attributes:
      stages: for each stage the width of every layer, such as `((32, 32, 32, 48, 48), ...)`.
      num_classes: K.
      block, activation, initializer, transform_bias, dtype: as of `DeepMLP`.
      dropout: rate after each stage.
    """

    stages: Sequence[Sequence[int]]
    num_classes: int
    block: str
    activation: str = "relu"
    initializer: str = "he"
    transform_bias: float = -1.0
    dropout: float = 0.0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, removed: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Classifies images `[B, S, S, C]`.

        Args:
          x: the images.
          removed: `[L]` of bool over the layers that keep their width, in order.
          train: whether dropout acts.

        Returns:
          Logits `[B, K]`; and "gates", T of each of the L layers `[B, s, s, c]`.
        """
        kernel_init, activation = INITIALIZERS[self.initializer], ACTIVATIONS[self.activation]
        gates: list[jax.Array] = []
        for i, widths in enumerate(self.stages):
            for j, width in enumerate(widths):
                conv = functools.partial(Conv, width, 3, dtype=self.dtype)
                if width != x.shape[-1]:
                    plain = conv(kernel_init=kernel_init, name=f"widen_{i}_{j}")
                    x = activation(plain(x))
                    continue
                block = GatedBlock(
                    conv,
                    self.block,
                    activation,
                    kernel_init,
                    self.transform_bias,
                    name=f"layer_{i}_{j}",
                )
                x, gate = block(x, False if removed is None else removed[len(gates)])
                gates.append(gate)
            last = i == len(self.stages) - 1
            x = x.mean((1, 2)) if last else max_pool(x, 2, 2)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="softmax")(x)
        return logits.astype(jnp.float32), {"gates": gates}
