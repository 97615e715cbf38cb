"""VGG: pooling by reshaping, and the shapes of its stages."""

import flax.linen as nn
import jax
import numpy as np

from research.models.sizes import VGG16
from research.models.vgg import VGG, halved


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
