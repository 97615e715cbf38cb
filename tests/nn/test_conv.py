"""`conv2d` against `lax.conv` and against loops in NumPy; the lowering follows the platform."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from research.nn.conv import Conv, ConvTranspose, conv2d, conv2d_transpose, explicit_padding

CASES = [  # height, width, channels, kernel, strides, padding, features, groups
    (7, 6, 3, (3, 3), (1, 1), "SAME", 5, 1),
    (8, 8, 4, (3, 3), (2, 2), "VALID", 4, 1),
    (12, 13, 2, (8, 8), (4, 4), "SAME", 3, 1),
    (7, 7, 2, (1, 1), (2, 2), "SAME", 3, 1),
    (7, 7, 2, (2, 3), (3, 1), ((1, 0), (2, 2)), 3, 1),
    (8, 7, 4, (3, 2), (1, 2), 1, 6, 2),
    (6, 6, 16, (3, 3), (1, 1), "SAME", 4, 1),  # too deep for patches: ordered convolutions
    (9, 8, 9, (5, 5), (2, 2), "SAME", 4, 1),
    (5, 6, 20, (3, 3), (2, 1), ((0, 2), (1, 0)), 3, 1),
]


def numpy_conv(x, kernel, strides, pads, groups):
    """Cross-correlation by its definition."""
    x = np.pad(np.asarray(x, np.float64), ((0, 0), *pads, (0, 0)))
    kernel = np.asarray(kernel, np.float64)
    h, w, depth, features = kernel.shape
    height = (x.shape[1] - h) // strides[0] + 1
    width = (x.shape[2] - w) // strides[1] + 1
    out = np.zeros((x.shape[0], height, width, features))
    per_group = features // groups
    for y in range(height):
        for z in range(width):
            window = x[:, y * strides[0] : y * strides[0] + h, z * strides[1] : z * strides[1] + w]
            for f in range(features):
                group = f // per_group
                part = window[..., group * depth : (group + 1) * depth]
                out[:, y, z, f] = (part * kernel[..., f]).sum((1, 2, 3))
    return out


def make(case, seed=0):
    height, width, channels, kernel, _, _, features, groups = case
    keys = jax.random.split(jax.random.key(seed))
    x = jax.random.normal(keys[0], (2, height, width, channels))
    kernel = jax.random.normal(keys[1], (*kernel, channels // groups, features))
    return x, kernel / kernel[..., 0].size ** 0.5  # outputs of size 1, so that 1e-5 means it


def with_gradients(function, x, kernel):
    """Outputs, and the gradients by both inputs for one random cotangent."""

    @jax.jit
    def run(x, kernel):
        out, pull = jax.vjp(function, x, kernel)
        return out, *pull(jax.random.normal(jax.random.key(2), out.shape))

    return run(x, kernel)


@pytest.mark.parametrize("case", CASES)
def test_equals_the_definition_and_lax_with_gradients(case):
    strides, padding, groups = case[4], case[5], case[7]
    x, kernel = make(case)
    pads = explicit_padding(padding, x.shape[1:3], kernel.shape[:2], strides)

    def ours(x, kernel):
        return conv2d(x, kernel, strides, padding, groups)

    def reference(x, kernel):
        return lax.conv_general_dilated(
            x,
            kernel,
            strides,
            pads,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
            precision="highest",
        )

    got = with_gradients(ours, x, kernel)
    definition = numpy_conv(x, kernel, strides, pads, groups)
    np.testing.assert_allclose(got[0], definition, atol=1e-5)
    for ours, theirs in zip(got, with_gradients(reference, x, kernel), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)
    if isinstance(padding, str):  # our pads are XLA's
        assert pads == tuple(lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding))


@pytest.mark.parametrize(
    "size, kernel, strides, padding",
    [
        (4, 5, 2, "SAME"),
        (5, 5, 2, "VALID"),
        (4, 4, 2, 2),
        (5, 3, 1, "SAME"),
        (4, 2, 3, "SAME"),
        (4, 5, 3, 2),
    ],
)
def test_transpose_equals_lax(size, kernel, strides, padding):
    x, weights = make((size, size + 1, 3, (kernel, kernel), None, None, 4, 1))
    explicit = padding if isinstance(padding, str) else ((padding, padding),) * 2

    def reference(x, w):
        return lax.conv_transpose(
            x, w, (strides, strides), explicit, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    got = with_gradients(lambda x, w: conv2d_transpose(x, w, strides, padding), x, weights)
    for ours, theirs in zip(got, with_gradients(reference, x, weights), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_modules_equal_flax(transposed):
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    ours = (ConvTranspose if transposed else Conv)(4, 3, 2)
    theirs = (nn.ConvTranspose if transposed else nn.Conv)(4, (3, 3), (2, 2))
    params = ours.init(jax.random.key(1), x)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(
        jnp.shape, theirs.init(jax.random.key(1), x)
    )
    params = jax.tree.map(lambda p: p + 0.1, params)  # a bias that is not zero
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), atol=1e-5)


def test_half_precision_computes_in_it_and_keeps_float32_parameters():
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    half, full = Conv(4, 3, dtype=jnp.bfloat16), Conv(4, 3)
    params = half.init(jax.random.key(1), x)
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))
    out = half.apply(params, x)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(out.astype(jnp.float32), full.apply(params, x), atol=0.05)


@pytest.mark.parametrize("channels", [3, 16])  # patches, ordered convolutions
def test_inside_scan_vmap_jvp_and_second_derivatives(channels):
    x = jax.random.normal(jax.random.key(0), (3, 2, 6, 6, channels))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, channels, 4))
    each = jnp.stack([conv2d(row, kernel) for row in x])
    scanned = lax.scan(lambda c, row: (c, conv2d(row, kernel)), 0, x)[1]
    np.testing.assert_allclose(scanned, each, atol=1e-4)
    many = jax.vmap(conv2d)(x, jnp.stack([kernel, 2 * kernel, 3 * kernel]))
    scale = jnp.array([1, 2, 3])[:, None, None, None, None]
    np.testing.assert_allclose(many, each * scale, atol=1e-4)

    # The gradient of sum(conv(x, k)^2) is linear in k: its derivative along k is itself.
    def gradient(kernel):
        return jax.grad(lambda k: (conv2d(x[0], k) ** 2).sum())(kernel)

    value = gradient(kernel)
    forward = jax.jvp(gradient, (kernel,), (kernel,))[1]
    np.testing.assert_allclose(forward, value, rtol=1e-3, atol=1e-2)
    backward = jax.grad(lambda k: (gradient(k) * kernel).sum())(kernel)
    np.testing.assert_allclose(backward, 2 * value - value, rtol=1e-3, atol=1e-2)


FAST = "dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"


def lowered(function, platform, channels):
    def loss(x, kernel):
        return (function(x, kernel, 2) ** 2).sum()

    x = jax.ShapeDtypeStruct((2, 8, 8, channels), "float32")
    kernel = jax.ShapeDtypeStruct((5, 5, channels, 6), "float32")
    traced = jax.jit(jax.grad(loss, (0, 1))).trace(x, kernel)
    return traced.lower(lowering_platforms=(platform,))


@pytest.mark.parametrize("function", [conv2d, conv2d_transpose])
def test_cpu_convolves_in_the_fast_order_only(function):
    text = lowered(function, "cpu", channels=16).as_text()
    count = text.count("stablehlo.convolution")
    assert count == text.count(FAST) == 3  # forward, by x, by kernel
    assert "stablehlo.convolution" not in lowered(conv2d, "cpu", channels=3).as_text()  # patches


@pytest.mark.parametrize("function", [conv2d, conv2d_transpose])
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_the_usual_convolution_and_gradients(function, platform):
    text = lowered(function, platform, channels=3).as_text()
    count = text.count("stablehlo.convolution")
    assert count == 3 and text.count(FAST) == 1
    assert "dot_general" not in text


def test_the_choice_of_platform_is_not_made_at_run_time():
    assert "conditional" not in lowered(conv2d, "cpu", channels=16).compile().as_text()


def test_kept_for_the_gradient_are_inputs_only():
    """Nine patches per pixel, or transposed copies, would be kept by every layer of a scan."""
    x = jnp.zeros((2, 8, 8, 16))
    for channels in (3, 16):
        inputs, kernel = x[..., :channels], jnp.zeros((3, 3, channels, 4))
        residuals = jax.tree.leaves(jax.vjp(conv2d, inputs, kernel)[1])
        assert sum(r.size for r in residuals if r.ndim) <= 2 * (inputs.size + kernel.size)


def test_unknown_padding_is_an_error():
    with pytest.raises(ValueError, match="SAME"):
        explicit_padding("same", (4, 4), (3, 3), (1, 1))
    with pytest.raises(ValueError, match="SAME"):
        conv2d_transpose(jnp.zeros((1, 4, 4, 1)), jnp.zeros((3, 3, 1, 1)), 2, "same")
