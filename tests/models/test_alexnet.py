import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.alexnet import ARCHITECTURES, Head, Layer, Trunk
from research.nn.conv import Conv


def shapes(variant, size=224):
    images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    trunk = Trunk(variant)
    params = jax.eval_shape(trunk.init, jax.random.key(0), images)
    activations = jax.eval_shape(trunk.apply, params, images)
    head = jax.eval_shape(Head(variant, 1000).init, jax.random.key(0), activations)
    count = lambda tree: sum(math.prod(x.shape) for x in jax.tree.leaves(tree))  # noqa: E731
    return activations.shape, count(params), count(head)


def test_published_sizes():
    """6x6x256 activations; 60,965,224 parameters with two towers, 61,100,840 with one."""
    activations, trunk, head = shapes("2012")
    assert activations == (2, 9216) and trunk + head == 60_965_224
    activations, trunk, head = shapes("2014")
    assert activations == (2, 9216) and (trunk, head) == (2_469_696, 58_631_144)


def test_two_towers_are_a_convolution_in_two_groups():
    """Each half of conv2 sees the half of the channels that is on its own GPU."""
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 4))
    ours = Layer(6, 3, groups=2)
    conv = Conv(ours.features, ours.kernel, padding=1, feature_group_count=ours.groups)
    params = conv.init(jax.random.key(1), x)
    kernel = params["params"]["kernel"]
    halves = [
        jax.lax.conv_general_dilated(
            x[..., 2 * i : 2 * i + 2], kernel[..., 3 * i : 3 * i + 3], (1, 1), "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        for i in range(2)
    ]
    np.testing.assert_allclose(
        conv.apply(params, x), jnp.concatenate(halves, -1), rtol=1e-5, atol=1e-6
    )
    assert [layer.groups for layer in ARCHITECTURES["2012"].layers] == [1, 2, 1, 2, 2]


def test_initial_values():
    params = jax.jit(Head("2014", 1000).init)(jax.random.key(0), jnp.zeros((1, 16)))["params"]
    assert (params["output"]["bias"] == -7).all() and (params["fc6"]["bias"] == 1).all()
    assert params["fc7"]["kernel"].std() == pytest.approx(0.01, rel=0.02)
    biases = [layer.bias for layer in ARCHITECTURES["2014"].layers]
    assert biases == [0, 1, 0, 1, 1]


def test_dropout_belongs_to_the_image_and_is_made_up_for_in_testing():
    head = Head("small", 10, dropout=0.5)
    x = jax.random.normal(jax.random.key(0), (4, 12))
    params = head.init(jax.random.key(1), x)
    keys = jax.random.split(jax.random.key(2), 4)
    apply = jax.jit(head.apply)
    order = jnp.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        apply(params, x[order], keys[order]), apply(params, x, keys)[order], rtol=1e-5
    )
    many = jnp.broadcast_to(x[:1], (4000, 12))
    mean = apply(params, many, jax.random.split(jax.random.key(3), 4000)).mean(0)
    np.testing.assert_allclose(mean, apply(params, x[:1])[0], atol=0.15)


def test_outputs_that_are_no_class():
    head = Head("small", 10, outputs_multiple=8, dropout=0.0)
    logits = head.apply(head.init(jax.random.key(0), jnp.zeros((1, 4))), jnp.ones((2, 4)))
    assert logits.shape == (2, 16)
    assert (logits[:, 10:] < -1e8).all() and (logits[:, :10] > -1e8).all()
