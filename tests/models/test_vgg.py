"""VGG: pooling by reshaping, and the shapes of its stages."""

import flax.linen as nn
import jax
import numpy as np

from research.models import vgg
from research.models.sizes import VGG16
from research.models.vgg import VGG, halved
from tests.plain_layers import conv, max_pool, relu


def test_halving_is_max_pooling():
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)
    pooled = nn.max_pool(x, (2, 2), (2, 2))
    np.testing.assert_array_equal(halved(x), pooled)


def test_every_stage_halves_the_image():
    net = VGG(((4, 4), (6,)), (8, 5), 3)
    images = np.zeros((2, 12, 12, 3), np.float32)
    (found, more), variables = jax.eval_shape(
        lambda key: net.init_with_output(key, images), jax.random.key(0)
    )
    assert found.shape == (2, 3) and more["features"].shape == (2, 3, 3, 6)
    shapes = {k: v["kernel"].shape for k, v in variables["params"].items()}
    assert shapes["Conv_2"] == (3, 3, 4, 6) and shapes["Dense_0"] == (3 * 3 * 6, 8)


def test_the_convolutions_of_the_16_layer_network_have_its_parameters():
    net = VGG(VGG16, (), 1)
    variables = jax.eval_shape(net.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    convolutions = [v for k, v in variables["params"].items() if k.startswith("Conv")]
    assert len(convolutions) == 13
    assert sum(x.size for x in jax.tree.leaves(convolutions)) == 14_714_688


def test_the_released_network_has_its_parameters():
    shapes = jax.eval_shape(
        vgg.vgg16().init, jax.random.key(0), np.zeros((1, 224, 224, 3), np.float32)
    )
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 138_357_544


def test_released_weights_are_mapped_by_name_and_the_dense_layer_takes_channels_first(monkeypatch):
    """A network of few channels, against convolutions and products written out."""
    stages = ((2,) * 2, (2,) * 2, (3,) * 3, (3,) * 3, (4,) * 3)
    monkeypatch.setattr(vgg, "VGG16", stages)
    rng = np.random.default_rng(0)
    arrays, channels = {}, 3
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    for j, count in zip(numbers, [c for stage in stages for c in stage], strict=True):
        arrays[f"features.{j}.weight"] = rng.normal(size=(count, channels, 3, 3))
        arrays[f"features.{j}.bias"] = rng.normal(size=count)
        channels = count
    for j, (units, inputs) in zip((0, 3, 6), ((5, 4 * 2 * 2), (6, 5), (7, 6)), strict=True):
        arrays[f"classifier.{j}.weight"] = rng.normal(size=(units, inputs))
        arrays[f"classifier.{j}.bias"] = rng.normal(size=units)
    images = rng.normal(size=(1, 64, 64, 3))

    x = images
    for j in numbers:
        kernel = arrays[f"features.{j}.weight"].transpose(2, 3, 1, 0)
        x = relu(conv(x, kernel, 1, ((1, 1), (1, 1))) + arrays[f"features.{j}.bias"])
        if j in (2, 7, 14, 21, 28):
            x = max_pool(x, 2, 2)
    x = x.transpose(0, 3, 1, 2).reshape(1, -1)  # as PyTorch has it
    for j in (0, 3):
        x = relu(x @ arrays[f"classifier.{j}.weight"].T + arrays[f"classifier.{j}.bias"])
    logits = x @ arrays["classifier.6.weight"].T + arrays["classifier.6.bias"]

    params = vgg.released_params(arrays)
    found, maps = VGG(stages, (5, 6), 7).apply({"params": params}, np.float32(images))
    np.testing.assert_allclose(found, logits, rtol=1e-3)
    np.testing.assert_allclose(maps["hidden"], x, rtol=1e-3, atol=1e-2 * np.abs(x).max())
