"""Convolutions that are fast on every backend, inside `lax.scan` too.

XLA's CPU backend hands a convolution to its fast kernels only when the axes are in one order, NHWC
with an HWIO kernel. Outside of loops it reorders others; inside `lax.scan` it does not, and there
the gradients that autodiff makes (batch and channels exchanged, a kernel read backwards) run as
plain loops, 10 to 70 times slower. `conv2d` therefore has lowerings of its own for the CPU, picked
when the program is lowered for a platform and not when it is traced: a program traced on a laptop
and compiled for a TPU has `lax.conv_general_dilated` and its usual gradients, nothing else.

On CPU, chosen by shape from measurements (CPU ms, forward and both gradients, two busy cores;
«plain» is `lax.conv_general_dilated`, «patches» im2col and a matmul):

    layer                                   plain  plain in scan  ordered  patches  chosen
    MinAtar 10x10x4, 16@3x3, batch 32         0.4            1.1      0.4      0.2  patches
    MinAtar, batch 128                        1.6            6.8      1.6      0.9  patches
    Nature DQN's three layers, batch 32        22            191       22       27  ordered
    CIFAR 32x32x16, 16@3x3, batch 128          34            960       23       98  ordered
    six of 16x16x8, 8@3x3, batch 128           28            246       23       67  ordered
    8x8x64, two of 64@3x3, batch 128           30          1,223       25       73  ordered
    DCGAN discriminator, 5x5/2, batch 64      101          1,300       96      125  ordered
    56x56x64, 256@1x1, batch 8                 68              -       67       56  matmul
    ImageNet stem 7x7/2, batch 8              142              -      139      205  ordered

«ordered» costs the same inside and outside of a scan, and no memory for patches.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Dtype, Initializer
from jax import lax
from jax.custom_derivatives import SymbolicZero

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
Padding = str | int | Sequence[int | tuple[int, int]]
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")

# Patches win for small inputs of few channels only (the table above): number of weights per output,
# and elements of all patches (2 MiB of float32).
_MAX_PATCH_DEPTH = 128
_MAX_PATCH_ELEMENTS = 2**19


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
    plain = functools.partial(
        lax.conv_general_dilated,
        window_strides=steps,
        padding=pads,
        dimension_numbers=_DIMENSIONS,
        feature_group_count=feature_group_count,
    )
    if feature_group_count > 1:
        return plain(x, kernel)
    outputs = [
        (n + sum(p) - k) // s + 1
        for n, p, k, s in zip(x.shape[1:3], pads, kernel.shape[:2], steps, strict=True)
    ]
    depth = math.prod(kernel.shape[:3])
    patches = x.shape[0] * math.prod(outputs) * depth
    small = 0 < patches <= _MAX_PATCH_ELEMENTS and depth <= _MAX_PATCH_DEPTH
    if small or kernel.shape[:2] == (1, 1):
        on_cpu = functools.partial(_by_patches, strides=steps, pads=pads)
    else:
        on_cpu = functools.partial(_ordered, strides=steps, pads=pads)
    return lax.platform_dependent(x, kernel, cpu=on_cpu, default=plain)


def _by_patches(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
    """The convolution as one matmul over gathered patches (im2col)."""
    h, w, channels, features = kernel.shape
    batch = x.shape[0]
    height = (x.shape[1] + sum(pads[0]) - h) // strides[0] + 1
    width = (x.shape[2] + sum(pads[1]) - w) // strides[1] + 1

    # Kept for the gradient are the inputs, as by `lax.conv`; gathering again costs less than the
    # memory, and on other platforms nothing of this branch is left behind.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def apply(x: jax.Array, kernel: jax.Array) -> jax.Array:
        x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (*pads[0], 0), (*pads[1], 0), (0, 0, 0)))
        rows, columns = (height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1
        taps = [
            lax.slice(x, (0, i, j, 0), (batch, i + rows, j + columns, channels), (1, *strides, 1))
            for i in range(h)
            for j in range(w)
        ]
        return jnp.concatenate(taps, axis=-1) @ kernel.reshape(-1, features)

    return apply(x, kernel)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _ordered(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
    """A convolution of NHWC and HWIO whose gradients are again convolutions of NHWC and HWIO."""
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_DIMENSIONS)


def _ordered_jvp(strides, pads, primals, tangents):
    """The derivative, written so that its transpose is in the fast order.

    JAX's transpose of a convolution exchanges axes by renaming them. Here the same axes are first
    exchanged in memory, so that the renaming ends at NHWC and HWIO: for dx a kernel stored HWOI,
    for dw inputs stored CHWN. In reverse mode only these transposes ever run.
    """
    convolve = functools.partial(lax.conv_general_dilated, window_strides=strides, padding=pads)

    # Checkpoints, so that what is kept are the inputs and not their transposed copies.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def along_x(dx, kernel):
        return convolve(dx, kernel.swapaxes(2, 3), dimension_numbers=("NHWC", "HWOI", "NHWC"))

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def along_kernel(x, dkernel):
        out = convolve(
            x.transpose(3, 1, 2, 0),
            dkernel.transpose(2, 0, 1, 3),
            dimension_numbers=("CHWN", "IHWO", "HWNC"),
        )
        return out.transpose(2, 0, 1, 3)

    (x, kernel), (dx, dkernel) = primals, tangents
    out = _ordered(x, kernel, strides, pads)
    tangent = jnp.zeros_like(out)
    # An input without a derivative, such as the first layer's images, costs nothing.
    if not isinstance(dx, SymbolicZero):
        tangent += along_x(dx, kernel)
    if not isinstance(dkernel, SymbolicZero):
        tangent += along_kernel(x, dkernel)
    return out, tangent


_ordered.defjvp(_ordered_jvp, symbolic_zeros=True)


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

    plain = functools.partial(
        lax.conv_general_dilated,
        window_strides=(1, 1),
        padding=pads,
        lhs_dilation=steps,
        dimension_numbers=_DIMENSIONS,
    )
    on_cpu = functools.partial(_by_phases, strides=steps, pads=pads)
    return lax.platform_dependent(x, kernel, cpu=on_cpu, default=plain)


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


def _by_phases(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
    """One convolution for all phases of the output, then depth to space; no zeros are multiplied.

    Output pixel y sees the dilated input at y - before + i: of the kernel's rows i only those with
    (y - before + i) % stride == 0 meet a pixel of `x`, so all pixels of one phase y % stride use
    the same rows. Each phase's rows are laid into one window of `x`, the phases side by side as
    features.
    Five to twelve times faster than XLA's dilated convolution on DCGAN's layers (5x5, stride 2:
    10 against 123 CPU ms for 4x4x128 to 8x8x64, batch 64, with gradients).
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
    out = _ordered(x, phased, (1, 1), window_pads)
    out = out.reshape(x.shape[0], *blocks, sh, sw, features).swapaxes(2, 3)
    out = out.reshape(x.shape[0], blocks[0] * sh, blocks[1] * sw, features)
    return out[:, :height, :width]


def _phases(kernel: int, stride: int, before: int) -> tuple[list[list[int]], int, int]:
    """Which kernel tap meets which input pixel, per phase of the output along one axis.

    Returns:
      taps: `[stride][window]`, the kernel's tap at each place of the window, `kernel` for none.
      first: input pixel, relative to the output block, at the start of the window.
      window: its length.
    """
    meets = [
        {
            (phase - before + i) // stride: i
            for i in range(kernel)
            if (phase - before + i) % stride == 0
        }
        for phase in range(stride)
    ]
    pixels = [pixel for phase in meets for pixel in phase]
    first, window = min(pixels), max(pixels) - min(pixels) + 1
    taps = [[phase.get(first + place, kernel) for place in range(window)] for phase in meets]
    return taps, first, window


class Conv(nn.Module):
    """2-D convolution `[B, H, W, C] -> [B, H', W', features]`; parameters `kernel` and `bias`.

    It computes what `flax.linen.Conv` does, which would do on a GPU or TPU. On CPUs this one is
    many times faster, above all in the gradient and inside `lax.scan`.

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
