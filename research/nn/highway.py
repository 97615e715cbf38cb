"""Gated layers through which information passes unchanged (Srivastava et al., 2015)."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Initializer

BLOCKS = ("plain", "highway")


class GatedBlock(nn.Module):
    """One layer of a deep network, plain or with gates, on the same transform H.

    With H(x) = activation(W_H x + b_H) and the transform gate T(x) = sigmoid(W_T x + b_T):

    - "plain": y = H(x), equation 1 of the paper;
    - "highway": y = H(x) T(x) + x (1 - T(x)), equation 3, for which x and y have one shape.

    Attributes:
      layer: makes an affine map of its own weights, `layer(kernel_init=, bias_init=, name=)`: a
        dense layer, or a convolution that keeps the size.
      block: one of `BLOCKS`.
      activation: of H.
      kernel_init: of W_H and W_T.
      transform_bias: b_T at the start. Negative: the layer carries at first (section 2.2).
    """

    layer: Callable[..., nn.Module]
    block: str
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    kernel_init: Initializer = initializers.he_normal()
    transform_bias: float = -1.0

    @nn.compact
    def __call__(self, x: jax.Array, removed: jax.Array | bool = False):
        """Returns y and the gate T(x), both of x's shape `[B, ..., C]`.

        Args:
          x: the layer's input.
          removed: whether a layer that carries is replaced by the identity, as in the lesions of
            section 4.2: its gate is closed. A plain layer cannot be.
        """
        affine = self.layer(kernel_init=self.kernel_init, name="transform")
        h = self.activation(affine(x))
        if self.block == "plain":
            return h, jnp.ones_like(h)
        gate = nn.sigmoid(
            self.layer(
                kernel_init=self.kernel_init,
                bias_init=initializers.constant(self.transform_bias),
                name="gate",
            )(x)
        )
        gate = jnp.where(removed, 0.0, gate)
        return h * gate + x * (1 - gate), gate
