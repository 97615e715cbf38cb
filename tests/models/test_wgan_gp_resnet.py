"""The residual pairs: layers, counts, shapes, and that a critic sees each image by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.tree import count_parameters, named_leaves
from research.models import wgan_gp_resnet as resnet


def shapes(net, *inputs):
    return jax.eval_shape(lambda k: net.init(k, *inputs, train=True), jax.random.key(0))


def test_conditional_pair_has_the_released_counts():
    z, x = jnp.zeros((1, 138)), jnp.zeros((1, 32, 32, 3))
    state = {
        "g": shapes(resnet.Generator(32, 3, 10), z),
        "f": shapes(resnet.Critic(10), x),
    }
    assert count_parameters(state) == {"g": 1_218_307, "f": 1_055_115}


def layers(net, *inputs):
    names = named_leaves(shapes(net, *inputs)["params"])
    kernels = [name for name in names if name.endswith("kernel")]
    return len([name for name in kernels if "shortcut" not in name])


def test_deep_pair_has_101_layers():
    assert layers(resnet.DeepGenerator(), jnp.zeros((1, 128))) == 101
    assert layers(resnet.DeepCritic(), jnp.zeros((1, 64, 64, 3))) == 101


def test_tapered_pair_has_the_published_widths():
    """8, 4, 2, 1 times 64 channels in G, 2, 4, 8, 8 in the critic."""
    z, x = jnp.zeros((1, 128)), jnp.zeros((1, 64, 64, 3))
    g, f = resnet.TaperedGenerator(), resnet.TaperedCritic()
    outs = jax.eval_shape(lambda k: g.init_with_output(k, z, train=True), jax.random.key(0))
    (images, maps), _ = outs
    assert images.shape == (1, 64, 64, 3)
    assert [m.shape[-1] for m in maps.values()] == [512, 256, 128, 64]
    outs = jax.eval_shape(lambda k: f.init_with_output(k, x, train=True), jax.random.key(0))
    (scores, maps), _ = outs
    assert scores.shape == (1,)
    assert [m.shape[1:] for m in maps.values()] == [
        (32, 32, 128),
        (16, 16, 256),
        (8, 8, 512),
        (4, 4, 512),
    ]


@pytest.mark.parametrize(
    "critic",
    [resnet.Critic(3, 4), resnet.TaperedCritic(4), resnet.DeepCritic(4, repeats=1)],
    ids=lambda critic: type(critic).__name__,
)
def test_a_score_depends_on_its_own_image_alone(critic):
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    variables = critic.init(jax.random.key(0), x, train=True)
    assert set(variables) == {"params"}
    score = jax.jit(lambda x: critic.apply(variables, x, train=True)[0])
    together, alone = score(x), score(jnp.stack([x[0]] * 3))
    np.testing.assert_allclose(together[0], alone[0], rtol=1e-4, atol=1e-6)
    assert abs(together[0] - together[1]) > 1e-6


def test_classes_change_the_image_through_every_block():
    net = resnet.Generator(8, 1, 2, 4)
    z = jnp.concatenate([jnp.ones((2, 3)), jnp.eye(2)], 1)
    variables = net.init(jax.random.key(0), z, train=True)
    params = variables["params"]
    same, _ = net.apply(variables, z, train=False)
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)  # all classes start alike
    offset = params["up1"]["norm2"]["offset"].at[1].set(0.5)
    params["up1"]["norm2"]["offset"] = offset
    images, _ = net.apply(variables, z, train=False)
    assert abs(images[0] - images[1]).max() > 1e-3


def test_depth_to_space_and_pooling_know_their_pixels():
    x = jnp.arange(16.0).reshape(1, 2, 2, 4)
    y = resnet.depth_to_space(x)
    assert y.shape == (1, 4, 4, 1)
    np.testing.assert_array_equal(y[0, :2, :2, 0], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(y[0, 2:, :2, 0], [[8, 9], [10, 11]])
    np.testing.assert_array_equal(resnet.mean_pool(resnet.upsample(x)), x)
