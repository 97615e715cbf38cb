"""Maxout against its equation, and dropout with a factor of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn.maxout import Maxout, MaxoutConv, ScaledDropout


def test_a_unit_is_the_largest_of_its_own_pieces():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    layer = Maxout(5, 2, bias_init=jax.nn.initializers.normal(1.0))
    variables = layer.init(jax.random.key(0), x)
    kernel, bias = (variables["params"]["pieces"][name] for name in ("kernel", "bias"))
    expected = np.zeros((4, 5))
    for i in range(5):
        w, b = kernel[:, 2 * i : 2 * i + 2], bias[2 * i : 2 * i + 2]
        expected[:, i] = np.maximum(x @ w[:, 0] + b[0], x @ w[:, 1] + b[1])
    np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-5)


def test_a_channel_is_the_largest_of_its_own_maps():
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    layer = MaxoutConv(4, 2, kernel_size=3, padding=1)
    variables = layer.init(jax.random.key(0), x)
    kernel = variables["params"]["pieces"]["kernel"]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.zeros((2, 5, 5, 4))
    for row in range(5):
        for column in range(5):
            window = padded[:, row : row + 3, column : column + 3].reshape(2, -1)
            maps = window @ kernel.reshape(-1, 8)
            for channel in range(4):
                pair = maps[:, 2 * channel], maps[:, 2 * channel + 1]
                expected[:, row, column, channel] = np.maximum(*pair)
    np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("scale", "factor"), [(None, 1.25), (1.0, 1.0)])
def test_dropout_scales_what_it_keeps_in_training_alone(scale, factor):
    x = jnp.full((200, 50), 3.0)
    layer = ScaledDropout(0.2, scale)
    out = layer.apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(out) != 0
    np.testing.assert_allclose(np.asarray(out)[kept], 3 * factor, rtol=1e-6)
    assert abs(kept.mean() - 0.8) < 0.02
    np.testing.assert_array_equal(layer.apply({}, x, train=False), x)
