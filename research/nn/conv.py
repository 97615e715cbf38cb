"""Convolutions that are fast on every backend: matmuls on CPU, `lax.conv` elsewhere.

XLA's CPU backend runs a convolution inside `lax.scan` one to two orders of magnitude slower than
outside, and its gradients slowly everywhere. `conv2d` therefore has two lowerings and picks one when
the program is lowered for a platform, not when it is traced: a program traced on a laptop and
compiled for a TPU contains plain convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Dtype, Initializer
from jax import lax

Pads = tuple[tuple[int, int], tuple[int, int]]
Padding = str | int | Sequence[int | tuple[int, int]]
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")

# Patches larger than this (256 MiB of float32) are not worth their memory: `lax.conv` needs none.
_MAX_PATCH_ELEMENTS = 64 * 2**20


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    height, width = value
    return height, width


def explicit_padding(
    padding: Padding, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> Pads:
    """`padding` as ((top, bottom), (left, right)).

    Args:
      padding: "SAME" (output is ceil(size / stride); the odd pixel of padding goes to the end),
        "VALID", one number for all sides, or a number or (before, after) pair per axis.
      sizes: height and width of the input.
      kernel: height and width of the kernel.
      strides: vertical and horizontal stride.

    Raises:
      ValueError: an unknown name.
    """
    if isinstance(padding, str):
        if padding == "VALID":
            return (0, 0), (0, 0)
        if padding != "SAME":
            raise ValueError(f"padding is 'SAME', 'VALID' or numbers, not {padding!r}")
        totals = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, k, s in zip(sizes, kernel, strides, strict=True)
        ]
        rows, columns = ((t // 2, t - t // 2) for t in totals)
        return rows, columns
    pads = [padding, padding] if isinstance(padding, int) else list(padding)
    rows, columns = ((p, p) if isinstance(p, int) else (p[0], p[1]) for p in pads)
    return rows, columns


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    feature_group_count: int = 1,
) -> jax.Array:
    """2-D cross-correlation.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[h, w, C / groups, F]`.
      strides: step between outputs.
      padding: see `explicit_padding`.
      feature_group_count: channels are split into this many groups that do not mix.

    Returns:
      `[B, H', W', F]`.
    """
    steps = _pair(strides)
    pads = explicit_padding(padding, x.shape[1:3], kernel.shape[:2], steps)

    def by_xla(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x, kernel, steps, pads,
            dimension_numbers=_DIMENSIONS, feature_group_count=feature_group_count,
        )

    def by_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return _matmul_form(x, kernel, steps, pads, feature_group_count)

    outputs = [
        (n + sum(p) - k) // s + 1
        for n, p, k, s in zip(x.shape[1:3], pads, kernel.shape[:2], steps, strict=True)
    ]
    patches = math.prod(outputs) * x.shape[0] * math.prod(kernel.shape[:2]) * x.shape[3]
    if patches > _MAX_PATCH_ELEMENTS or 0 in outputs:
        return by_xla(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=by_matmul, default=by_xla)


def _matmul_form(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads, groups: int
) -> jax.Array:
    """The same as one matmul over patches (im2col).

    Where the kernel is a multiple of the stride, blocks of stride x stride pixels become channels
    first, so that an 8x8 kernel with stride 4 gathers 2 x 2 contiguous slices and not 64 strided.
    """
    h, w, _, features = kernel.shape
    (sh, sw), (top, left) = strides, (pads[0][0], pads[1][0])
    height = (x.shape[1] + sum(pads[0]) - h) // sh + 1
    width = (x.shape[2] + sum(pads[1]) - w) // sw + 1
    # Exactly the rows and columns that the outputs see: a stride may leave some at the end unseen.
    rows, columns = (height - 1) * sh + h, (width - 1) * sw + w
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(
        x, zero,
        ((0, 0, 0), (top, rows - x.shape[1] - top, 0), (left, columns - x.shape[2] - left, 0),
         (0, 0, 0)),
    )
    if groups == 1 and (sh, sw) != (1, 1) and h % sh == 0 and w % sw == 0:
        x = x.reshape(x.shape[0], rows // sh, sh, columns // sw, sw, -1).swapaxes(2, 3)
        x = x.reshape(x.shape[0], rows // sh, columns // sw, -1)
        kernel = kernel.reshape(h // sh, sh, w // sw, sw, -1, features).swapaxes(1, 2)
        kernel = kernel.reshape(h // sh, w // sw, -1, features)
        (h, w), (sh, sw) = kernel.shape[:2], (1, 1)

    batch, channels = x.shape[0], x.shape[3]
    taps = [
        lax.slice(
            x, (0, i, j, 0),
            (batch, i + (height - 1) * sh + 1, j + (width - 1) * sw + 1, channels),
            (1, sh, sw, 1),
        )
        for i in range(h) for j in range(w)
    ]
    if groups == 1:
        return jnp.concatenate(taps, axis=-1) @ kernel.reshape(-1, features)
    stacked = jnp.stack(taps, axis=3).reshape(batch, height, width, h * w, groups, -1)
    kernel = kernel.reshape(h * w, channels // groups, groups, features // groups)
    out = jnp.einsum("byxkgc,kcgf->byxgf", stacked, kernel)
    return out.reshape(batch, height, width, features)


def conv2d_transpose(
    x: jax.Array, kernel: jax.Array, strides: int | Sequence[int] = 1, padding: Padding = "SAME"
) -> jax.Array:
    """Fractionally strided convolution, as `lax.conv_transpose` and `flax.linen.ConvTranspose`.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[h, w, C, F]`, applied without a flip.
      strides: zeros are put between the pixels of `x` so that they are this far apart.
      padding: "SAME" (output is H * stride), "VALID" (H * stride + max(h - stride, 0)), or explicit
        padding of the dilated input.

    Returns:
      `[B, H', W', F]`.
    """
    steps, size = _pair(strides), kernel.shape[:2]
    if isinstance(padding, str):
        rows, columns = (
            _transpose_padding(k, s, padding) for k, s in zip(size, steps, strict=True)
        )
        pads = (rows, columns)
    else:
        pads = explicit_padding(padding, x.shape[1:3], size, steps)

    def by_xla(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x, kernel, (1, 1), pads, lhs_dilation=steps, dimension_numbers=_DIMENSIONS
        )

    def by_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return _transpose_matmul_form(x, kernel, steps, pads)

    if x.size * math.prod(size) > _MAX_PATCH_ELEMENTS:
        return by_xla(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=by_matmul, default=by_xla)


def _transpose_padding(kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Padding of the dilated input (`lax.conv_transpose`'s rule, Dumoulin and Visin, 2016)."""
    if padding == "SAME":
        total = kernel + stride - 2
        before = kernel - 1 if stride > kernel - 1 else -(-total // 2)
    elif padding == "VALID":
        total = kernel + stride - 2 + max(kernel - stride, 0)
        before = kernel - 1
    else:
        raise ValueError(f"padding is 'SAME', 'VALID' or numbers, not {padding!r}")
    return before, total - before


def _transpose_matmul_form(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads
) -> jax.Array:
    """One stride-1 convolution per phase of the output, then depth to space.

    Output pixel y sees the dilated input at y - before + i: of the kernel's rows i only those with
    (y - before + i) % stride == 0 meet a pixel of `x`, so all pixels of one phase y % stride use the
    same rows. The phases share their patches: each phase's kernel is laid into one window.
    """
    h, w, channels, features = kernel.shape
    (sh, sw), (top, left) = strides, (pads[0][0], pads[1][0])
    height = (x.shape[1] - 1) * sh + 1 + sum(pads[0]) - h + 1
    width = (x.shape[2] - 1) * sw + 1 + sum(pads[1]) - w + 1
    row_taps, row_first, row_window = _phases(h, sh, top)
    column_taps, column_first, column_window = _phases(w, sw, left)
    # One more row (column) of kernel, of zeros, for the window places that a phase does not see.
    padded = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    phased = padded[jnp.array(row_taps)[:, :, None, None], jnp.array(column_taps)[None, None]]
    phased = phased.transpose(1, 3, 4, 0, 2, 5)  # [sh, hw, sw, ww, C, F] -> [hw, ww, C, sh, sw, F]
    phased = phased.reshape(row_window, column_window, channels, sh * sw * features)

    blocks = -(-height // sh), -(-width // sw)
    window_pads = (
        (-row_first, blocks[0] + row_first + row_window - 1 - x.shape[1]),
        (-column_first, blocks[1] + column_first + column_window - 1 - x.shape[2]),
    )
    out = _matmul_form(x, phased, (1, 1), window_pads, groups=1)
    out = out.reshape(x.shape[0], *blocks, sh, sw, features).swapaxes(2, 3)
    out = out.reshape(x.shape[0], blocks[0] * sh, blocks[1] * sw, features)
    return out[:, :height, :width]


def _phases(kernel: int, stride: int, before: int) -> tuple[list[list[int]], int, int]:
    """Which kernel tap meets which input pixel, per phase of the output along one axis.

    Returns:
      taps: `[stride][window]`, index of the kernel tap at each place of the window, `kernel` for none.
      first: input pixel, relative to the output block, at the start of the window.
      window: its length.
    """
    meets = [
        {(phase - before + i) // stride: i
         for i in range(kernel) if (phase - before + i) % stride == 0}
        for phase in range(stride)
    ]
    pixels = [pixel for phase in meets for pixel in phase]
    first, window = min(pixels), max(pixels) - min(pixels) + 1
    taps = [[phase.get(first + place, kernel) for place in range(window)] for phase in meets]
    return taps, first, window


class Conv(nn.Module):
    """2-D convolution `[B, H, W, C] -> [B, H', W', features]`; parameters `kernel` and `bias`.

    Attributes:
      features: number of output channels.
      kernel_size: side of the kernel, or (height, width).
      strides: step between outputs, or (vertical, horizontal).
      padding: "SAME", "VALID", a number, or a number or (before, after) pair per axis.
      use_bias: whether to add a bias per channel.
      feature_group_count: channels are split into this many groups that do not mix.
      dtype: the computation's type; that of input and parameters by default.
      kernel_init: of `kernel`, `[h, w, C / groups, features]`.
      bias_init: of `bias`, `[features]`.
    """

    features: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    feature_group_count: int = 1
    dtype: Dtype | None = None
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros_init()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1] // self.feature_group_count
        shape = (*_pair(self.kernel_size), channels, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        x = conv2d(x, kernel, self.strides, self.padding, self.feature_group_count)
        return x if bias is None else x + bias


class ConvTranspose(nn.Module):
    """Fractionally strided convolution; see `conv2d_transpose`. Parameters `kernel` and `bias`.

    Attributes:
      features: number of output channels.
      kernel_size: side of the kernel, or (height, width).
      strides: by how much the image grows, or (vertically, horizontally).
      padding: "SAME", "VALID" or explicit padding of the dilated input.
      use_bias: whether to add a bias per channel.
      dtype: the computation's type; that of input and parameters by default.
      kernel_init: of `kernel`, `[h, w, C, features]`.
      bias_init: of `bias`, `[features]`.
    """

    features: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    dtype: Dtype | None = None
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros_init()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*_pair(self.kernel_size), x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        x = conv2d_transpose(x, kernel, self.strides, self.padding)
        return x if bias is None else x + bias
