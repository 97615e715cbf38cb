"""The Inception network of 2015 that published FID, KID and Inception scores are seen through.

It is the graph `inception-2015-12-05` of TensorFlow (Szegedy et al. 2015, arXiv:1512.00567), with
1008 outputs. Three things set it apart from the Inception v3 of other libraries, and move FID: the
average of a pool does not count the padding, the last block has a max pool in its pool branch, and
images are resized by TensorFlow 1's bilinear interpolation. Names of layers are those of the
PyTorch port (mseitzer/pytorch-fid), so that its weights are mapped by name.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from research.nn import legacy_bilinear
from research.nn.conv import Conv, Padding

SIZE, OUTPUTS, FEATURES = 299, 1008, 2048
_BN_EPSILON = 1e-3
# Kinds of arrays: our name -> the port's.
_RELEASED = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


class ConvNorm(nn.Module):
    """A convolution without bias, batch normalization by stored moments, and a rectifier."""

    features: int
    kernel_size: tuple[int, int]
    strides: int = 1
    padding: Padding = "SAME"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Conv(
            self.features, self.kernel_size, self.strides, self.padding, use_bias=False, name="conv"
        )(x)
        norm = nn.BatchNorm(use_running_average=True, epsilon=_BN_EPSILON, name="bn")
        return nn.relu(norm(x))


def average_pool(x: jax.Array) -> jax.Array:
    """The mean of 3x3 pixels around each, of those that are in the image."""
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _max_pool(x: jax.Array, stride: int, padding: str) -> jax.Array:
    return nn.max_pool(x, (3, 3), (stride, stride), padding)


# A branch of a block: name of the layer, channels, height and width of the kernel. They follow one
# another; the layers of a tuple stand beside one another.
_Layer = tuple[str, int, int, int]


class Mixed(nn.Module):
    """Branches side by side, their channels one after another.

    Attributes:
      branches: each a chain of layers.
      pool: "average" or "max" of every pixel's neighbours, followed by a 1x1 convolution of
        `pool_features`; or "reduce", a max pool of stride 2, where the last layer of each branch
        has stride 2 as well, and no padding.
      pool_features: channels of the pool's branch.
    """

    branches: tuple[tuple[_Layer | tuple[_Layer, _Layer], ...], ...]
    pool: str = "average"
    pool_features: int = 192

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        outputs = [self._branch(x, branch) for branch in self.branches]
        if self.pool == "reduce":
            return jnp.concatenate([*outputs, _max_pool(x, 2, "VALID")], axis=-1)
        pooled = average_pool(x) if self.pool == "average" else _max_pool(x, 1, "SAME")
        outputs.append(ConvNorm(self.pool_features, (1, 1), name="branch_pool")(pooled))
        return jnp.concatenate(outputs, axis=-1)

    def _branch(self, x: jax.Array, branch: tuple[Any, ...]) -> jax.Array:
        for i, layer in enumerate(branch):
            last = self.pool == "reduce" and i == len(branch) - 1
            make = functools.partial(
                _conv_norm, strides=2 if last else 1, padding="VALID" if last else "SAME"
            )
            if isinstance(layer[0], str):
                x = make(layer)(x)
            else:
                x = jnp.concatenate([make(beside)(x) for beside in layer], axis=-1)
        return x


def _conv_norm(layer: _Layer, strides: int, padding: Padding) -> ConvNorm:
    name, features, height, width = layer
    return ConvNorm(features, (height, width), strides, padding, name=name)


def _block_a(pool_features: int, name: str) -> Mixed:
    """35x35 pixels."""
    return Mixed(
        (
            (("branch1x1", 64, 1, 1),),
            (("branch5x5_1", 48, 1, 1), ("branch5x5_2", 64, 5, 5)),
            (
                ("branch3x3dbl_1", 64, 1, 1),
                ("branch3x3dbl_2", 96, 3, 3),
                ("branch3x3dbl_3", 96, 3, 3),
            ),
        ),
        pool_features=pool_features,
        name=name,
    )


def _block_b(name: str) -> Mixed:
    """35x35 to 17x17."""
    return Mixed(
        (
            (("branch3x3", 384, 3, 3),),
            (
                ("branch3x3dbl_1", 64, 1, 1),
                ("branch3x3dbl_2", 96, 3, 3),
                ("branch3x3dbl_3", 96, 3, 3),
            ),
        ),
        pool="reduce",
        name=name,
    )


def _block_c(c7: int, name: str) -> Mixed:
    """17x17, 7x7 kernels as 1x7 and 7x1."""
    return Mixed(
        (
            (("branch1x1", 192, 1, 1),),
            (("branch7x7_1", c7, 1, 1), ("branch7x7_2", c7, 1, 7), ("branch7x7_3", 192, 7, 1)),
            (
                ("branch7x7dbl_1", c7, 1, 1),
                ("branch7x7dbl_2", c7, 7, 1),
                ("branch7x7dbl_3", c7, 1, 7),
                ("branch7x7dbl_4", c7, 7, 1),
                ("branch7x7dbl_5", 192, 1, 7),
            ),
        ),
        name=name,
    )


def _block_d(name: str) -> Mixed:
    """17x17 to 8x8."""
    return Mixed(
        (
            (("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 3)),
            (
                ("branch7x7x3_1", 192, 1, 1),
                ("branch7x7x3_2", 192, 1, 7),
                ("branch7x7x3_3", 192, 7, 1),
                ("branch7x7x3_4", 192, 3, 3),
            ),
        ),
        pool="reduce",
        name=name,
    )


def _block_e(pool: str, name: str) -> Mixed:
    """8x8, the ends of two branches beside one another."""
    return Mixed(
        (
            (("branch1x1", 320, 1, 1),),
            (
                ("branch3x3_1", 384, 1, 1),
                (("branch3x3_2a", 384, 1, 3), ("branch3x3_2b", 384, 3, 1)),
            ),
            (
                ("branch3x3dbl_1", 448, 1, 1),
                ("branch3x3dbl_2", 384, 3, 3),
                (("branch3x3dbl_3a", 384, 1, 3), ("branch3x3dbl_3b", 384, 3, 1)),
            ),
        ),
        pool=pool,
        name=name,
    )


class Inception2015(nn.Module):
    """Logits and features of images.

    Attributes:
      outputs: 1008, of which eight say nothing.
    """

    outputs: int = OUTPUTS

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Maps images of any size to logits.

        Args:
          images: `[B, H, W, 3]`, values 0 to 255.

        Returns:
          Logits `[B, outputs]`; "features", the third pool's `[B, 2048]`; "logits_unbiased", which
          are without the bias, as the published Inception score has them.
        """
        x = (legacy_bilinear.resize(images.astype(jnp.float32), SIZE, SIZE) - 128) / 128
        x = ConvNorm(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(x)
        x = ConvNorm(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(x)
        x = ConvNorm(64, (3, 3), name="Conv2d_2b_3x3")(x)
        x = _max_pool(x, 2, "VALID")
        x = ConvNorm(80, (1, 1), name="Conv2d_3b_1x1")(x)
        x = ConvNorm(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(x)
        x = _max_pool(x, 2, "VALID")
        for block in (
            _block_a(32, "Mixed_5b"),
            _block_a(64, "Mixed_5c"),
            _block_a(64, "Mixed_5d"),
            _block_b("Mixed_6a"),
            _block_c(128, "Mixed_6b"),
            _block_c(160, "Mixed_6c"),
            _block_c(160, "Mixed_6d"),
            _block_c(192, "Mixed_6e"),
            _block_d("Mixed_7a"),
            _block_e("average", "Mixed_7b"),
            _block_e("max", "Mixed_7c"),  # an oddity of this graph
        ):
            x = block(x)
        features = x.mean((1, 2))
        dense = nn.Dense(self.outputs, name="fc")
        logits = dense(features)
        unbiased = logits - dense.variables["params"]["bias"]
        return logits, {"features": features, "logits_unbiased": unbiased}


def to_bytes(images: jax.Array) -> jax.Array:
    """Images in [-1, 1] as the whole numbers 0 to 255 that published metrics are made of.

    Grey ones get three channels.
    """
    images = jnp.clip(jnp.round((images + 1) * 127.5), 0, 255)
    return jnp.broadcast_to(images, (*images.shape[:-1], 3))


def released_variables(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Variables of `Inception2015` from released ones, named and laid out as the PyTorch port has.

    Args:
      arrays: "Mixed_5b.branch1x1.conv.weight" `[64, 192, 1, 1]` (out, in, height, width),
        "Mixed_5b.branch1x1.bn.running_mean" `[64]` and so on, "fc.weight" `[1008, 2048]`. Others
        are left alone.

    Raises:
      KeyError: one is missing.
      ValueError: one has another shape.
    """
    net = Inception2015()
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))

    def leaf(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> np.ndarray:
        *layer, kind = (entry.key for entry in path[1:])
        name = ".".join([*layer, _RELEASED[kind]])
        array = np.asarray(arrays[name], np.float32)
        if kind == "kernel":
            array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        if array.shape != shape.shape:
            raise ValueError(f"{name} has shape {list(array.shape)}")
        return array

    return jax.tree_util.tree_map_with_path(leaf, shapes)
