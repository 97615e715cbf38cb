"""The networks of the first generative adversarial nets: their released configurations.

Source: Goodfellow et al. 2014, arXiv:1406.2661, section 5, with `mnist.yaml` and
`cifar10_convolutional.yaml` of the released code. All weights begin uniform, biases at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.core.errors import UserError
from research.nn.conv import ConvTranspose
from research.nn.fan_in import within
from research.nn.max_pool import max_pool
from research.nn.maxout import Maxout, MaxoutConv, ScaledDropout

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "sigmoid": nn.sigmoid,
    "linear": lambda x: x,
}


class Deconvolution(NamedTuple):
    """How the last hidden layer, as a square of maps, becomes an image.

    Attributes:
      side: of the maps; units of the layer / side^2 is their number.
      kernel, stride: of the convolution's transpose.
    """

    side: int
    kernel: int
    stride: int


class Generator(nn.Module):
    """z to images in the units of the data.

    Attributes:
      shape: `(H, W, C)` of an image.
      widths: units of the hidden layers.
      activations: of each of them, and of the output: keys of `ACTIVATIONS`.
      deconvolution: of the output; None for a dense layer.
      init_range: weights begin uniform within this of 0.
      dtype: of the computation.
    """

    shape: tuple[int, int, int]
    widths: Sequence[int] = (1200, 1200)
    activations: Sequence[str] = ("relu", "relu", "sigmoid")
    deconvolution: Deconvolution | None = None
    init_range: float = 0.05
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Images `[B, H, W, C]` of latents z `[B, Z]`, and hidden activations by name."""
        del train  # G has no dropout
        kernel_init = within(self.init_range)
        x, maps = z, {}
        for i, (width, name) in enumerate(zip(self.widths, self.activations, strict=False), 1):
            dense = nn.Dense(width, kernel_init=kernel_init, dtype=self.dtype, name=f"dense{i}")
            maps[f"dense{i}"] = x = ACTIVATIONS[name](dense(x))
        if self.deconvolution is None:
            size = math.prod(self.shape)
            x = nn.Dense(size, kernel_init=kernel_init, dtype=self.dtype, name="out")(x)
        else:
            side, kernel, stride = self.deconvolution
            self._check_sides(side, kernel, stride)
            x = ConvTranspose(
                self.shape[-1],
                kernel,
                stride,
                "VALID",
                use_bias=False,  # each pixel has its own
                kernel_init=kernel_init,
                dtype=self.dtype,
                name="out",
            )(x.reshape(len(x), side, side, -1))
            x = x + self.param("out_bias", nn.initializers.zeros, self.shape)
        images = ACTIVATIONS[self.activations[-1]](x.astype(jnp.float32))
        return images.reshape(-1, *self.shape), maps

    @nn.nowrap
    def _check_sides(self, side: int, kernel: int, stride: int) -> None:
        made = (side - 1) * stride + kernel
        if self.shape[:2] != (made, made) or self.widths[-1] % side**2:
            raise UserError(
                f"a square of {side} with a kernel of {kernel} and a stride of {stride} makes "
                f"{made}x{made} pixels of a multiple of {side**2} units, not "
                f"{self.shape[0]}x{self.shape[1]} of {self.widths[-1]}"
            )


class Convolution(NamedTuple):
    """A convolutional layer of the discriminator, and its pooling.

    Attributes:
      channels: of the output, each the largest of several maps.
      kernel, padding: of the convolution.
      pool, pool_stride: side and step of what the largest value is taken of.
    """

    channels: int
    kernel: int
    padding: int
    pool: int
    pool_stride: int


class Discriminator(nn.Module):
    """Images to logits, by layers of maxout units; what every layer gets is dropped out.

    Attributes:
      units: of each dense layer.
      pieces: of its units.
      convolutions: the layers before them.
      conv_pieces: of their channels.
      input_dropout: rate on the image.
      dropout: rate on what every other layer gets. Each kept entry is divided by 1 - its rate.
      init_range: weights begin uniform within this of 0.
      dtype: of the computation.
    """

    units: Sequence[int] = (240, 240)
    pieces: int = 5
    convolutions: Sequence[Convolution] = ()
    conv_pieces: int = 2
    input_dropout: float = 0.2
    dropout: float = 0.5
    init_range: float = 0.005
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits `[B]` of images `[B, H, W, C]`, and each layer's output by name.

        Args:
          x: in the units of the data.
          train: whether there is dropout, with keys of "dropout".
        """
        kernel_init = within(self.init_range)
        maps: dict[str, jax.Array] = {}
        x = ScaledDropout(self.input_dropout, name="input_dropout")(x, train=train)
        for i, layer in enumerate(self.convolutions, 1):
            name = f"conv{i}"
            x = MaxoutConv(
                layer.channels,
                self.conv_pieces,
                layer.kernel,
                layer.padding,
                kernel_init,
                dtype=self.dtype,
                name=name,
            )(x)
            maps[name] = x = max_pool(x, layer.pool, layer.pool_stride)
            x = ScaledDropout(self.dropout, name=f"{name}_dropout")(x, train=train)
        x = x.reshape(len(x), -1)
        for i, units in enumerate(self.units, 1):
            name = f"maxout{i}"
            maps[name] = x = Maxout(units, self.pieces, kernel_init, dtype=self.dtype, name=name)(x)
            x = ScaledDropout(self.dropout, name=f"{name}_dropout")(x, train=train)
        logits = nn.Dense(1, kernel_init=kernel_init, dtype=self.dtype, name="logit")(x)
        return logits[:, 0].astype(jnp.float32), maps
