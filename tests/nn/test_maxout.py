"""Units that are the largest of several linear ones."""

import jax
import numpy as np

from research.nn.maxout import Maxout, MaxoutConv


def test_a_unit_is_the_largest_of_its_own_pieces():
    x = np.random.default_rng(0).normal(0, 1, (5, 3)).astype(np.float32)
    layer = Maxout(4, 2)
    variables = layer.init(jax.random.key(0), x)
    dense = variables["params"]["pieces"]
    linear = x @ dense["kernel"] + dense["bias"]
    expected = np.maximum(linear[:, ::2], linear[:, 1::2])
    np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-5)


def test_a_convolution_of_one_pixel_is_the_dense_layer():
    x = np.random.default_rng(0).normal(0, 1, (2, 3, 3, 3)).astype(np.float32)
    conv = MaxoutConv(4, 5, 1, 0)
    variables = conv.init(jax.random.key(0), x)
    params = {"pieces": dict(variables["params"]["pieces"])}
    params["pieces"]["kernel"] = params["pieces"]["kernel"][0, 0]
    dense = Maxout(4, 5).apply({"params": params}, x.reshape(-1, 3))
    found = conv.apply(variables, x).reshape(-1, 4)
    np.testing.assert_allclose(found, dense, rtol=1e-4, atol=1e-5)
