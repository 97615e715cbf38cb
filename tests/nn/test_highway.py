"""A layer with gates against its equations in NumPy."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn.conv import Conv
from research.nn.highway import BLOCKS, GatedBlock

X = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def dense(block, **kwargs):
    return GatedBlock(functools.partial(nn.Dense, 7), block, **kwargs)


def affine(x, params):
    return x @ np.asarray(params["kernel"]) + np.asarray(params["bias"])


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("activation", [np.tanh, lambda x: np.maximum(x, 0)])
def test_layer_is_its_equation(block, activation):
    functions = {np.tanh: jnp.tanh}
    layer = dense(block, activation=functions.get(activation, nn.relu), transform_bias=-0.5)
    params = layer.init(jax.random.key(0), X)["params"]
    params = jax.tree.map(lambda p: p + 0.1, params)  # biases that are not what they began with
    y, gate = layer.apply({"params": params}, X)
    h = activation(affine(X, params["transform"]))
    if block == "highway":
        t = 1 / (1 + np.exp(-affine(X, params["gate"])))
        expected = h * t + X * (1 - t)  # equation 3
        np.testing.assert_allclose(gate, t, rtol=1e-5)
    else:
        expected = h
        assert set(params) == {"transform"}
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_gate_starts_closed_by_its_bias():
    layer = dense("highway", transform_bias=-3.0)
    params = layer.init(jax.random.key(0), X)["params"]
    np.testing.assert_array_equal(params["gate"]["bias"], np.full(7, -3.0))
    np.testing.assert_array_equal(params["transform"]["bias"], np.zeros(7))
    _, gate = layer.apply({"params": params}, 0 * X)
    np.testing.assert_allclose(gate, 1 / (1 + np.exp(3.0)), rtol=1e-6)


def test_a_removed_layer_is_the_identity():
    layer = dense("highway")
    variables = layer.init(jax.random.key(0), X)
    np.testing.assert_array_equal(layer.apply(variables, X, True)[0], X)
    assert not np.allclose(layer.apply(variables, X, False)[0], X)


def test_kernels_of_transform_and_gate_are_drawn_apart_with_the_deviation_of_he():
    layer = GatedBlock(functools.partial(nn.Dense, 300), "highway")
    params = layer.init(jax.random.key(0), np.zeros((1, 300), np.float32))["params"]
    for name in ("transform", "gate"):
        np.testing.assert_allclose(params[name]["kernel"].std(), (2 / 300) ** 0.5, rtol=0.02)
    assert not np.allclose(params["transform"]["kernel"], params["gate"]["kernel"])


def test_convolutional_gates_have_the_shape_of_the_transform():
    layer = GatedBlock(functools.partial(Conv, 4, 3), "highway")
    images = np.ones((2, 6, 6, 4), np.float32)
    variables = layer.init(jax.random.key(0), images)
    y, gate = layer.apply(variables, images)
    assert y.shape == gate.shape == images.shape
    shapes = jax.tree.map(jnp.shape, variables["params"])
    assert shapes["gate"] == shapes["transform"] == {"kernel": (3, 3, 4, 4), "bias": (4,)}
