"""The networks against loops over their layers."""

import jax
import numpy as np
import pytest

from research.core.tree import count_parameters
from research.models.highway import DeepConvNet, DeepMLP

X = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)


def relu(x):
    return np.maximum(x, 0)


def test_fully_connected_network_is_a_loop_over_its_layers():
    network = DeepMLP(depth=4, width=6, num_classes=3, block="highway", transform_bias=-1.0)
    params = network.init(jax.random.key(1), X)["params"]
    params = jax.tree.map(np.asarray, params)
    logits, looks = network.apply({"params": params}, X)
    x = relu(X.reshape(3, -1) @ params["first"]["kernel"] + params["first"]["bias"])
    for i in range(3):
        layer = jax.tree.map(lambda p, i=i: p[i], params["layers"])
        h = relu(x @ layer["transform"]["kernel"] + layer["transform"]["bias"])
        t = 1 / (1 + np.exp(-(x @ layer["gate"]["kernel"] + layer["gate"]["bias"])))
        np.testing.assert_allclose(looks["gates"][i], t, rtol=1e-4)
        x = h * t + x * (1 - t)
    expected = x @ params["softmax"]["kernel"] + params["softmax"]["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_layers_start_apart():
    network = DeepMLP(depth=3, width=6, num_classes=3, block="highway")
    kernels = network.init(jax.random.key(1), X)["params"]["layers"]["transform"]["kernel"]
    assert not np.allclose(kernels[0], kernels[1])


def test_removing_all_layers_leaves_the_first():
    network = DeepMLP(depth=5, width=6, num_classes=3, block="highway", transform_bias=1.0)
    params = network.init(jax.random.key(1), X)["params"]
    logits, _ = network.apply({"params": params}, X, np.ones(4, bool))
    x = relu(X.reshape(3, -1) @ params["first"]["kernel"])
    np.testing.assert_allclose(logits, x @ params["softmax"]["kernel"], rtol=1e-4, atol=1e-6)


def test_orthogonal_start_keeps_the_power_of_activations_through_fifty_layers():
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype(np.float32)
    network = DeepMLP(50, 71, 10, "plain", initializer="orthogonal_relu")
    variables = network.init(jax.random.key(0), x)
    logits, _ = network.apply(variables, x)
    assert 0.2 < logits.std() < 5
    kernels = np.asarray(variables["params"]["layers"]["transform"]["kernel"])
    np.testing.assert_allclose(kernels[7].T @ kernels[7], 2 * np.eye(71), atol=1e-4)


@pytest.mark.parametrize(("block", "gates"), [("highway", 2), ("plain", 1)])
def test_convolutional_network_has_the_parameters_of_its_layers(block, gates):
    network = DeepConvNet(((3, 3), (5, 5, 5)), 10, block)
    shapes = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, 8, 8, 2), np.float32))
    widening = (9 * 2 * 3 + 3) + (9 * 3 * 5 + 5)
    layers = (9 * 3 * 3 + 3) + 2 * (9 * 5 * 5 + 5)
    assert sum(count_parameters(shapes).values()) == widening + gates * layers + 5 * 10 + 10


def test_convolutional_network_without_its_layers():
    network = DeepConvNet(((3, 3, 3),), 4, "highway")
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype(np.float32)
    variables = network.init(jax.random.key(0), images)
    removed, looks = network.apply(variables, images, np.ones(2, bool))
    assert len(looks["gates"]) == 2 and looks["gates"][0].shape == (2, 4, 4, 3)
    short = DeepConvNet(((3,),), 4, "highway")
    kept = {name: variables["params"][name] for name in ("widen_0_0", "softmax")}
    np.testing.assert_allclose(removed, short.apply({"params": kept}, images)[0], rtol=1e-5)
