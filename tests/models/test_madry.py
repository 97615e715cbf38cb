"""The networks of Madry et al.: sizes, and a block against its plain form."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from research.models.madry import ConvNet, WideResNet, standardized


def test_standardized_images_have_mean_zero_and_deviation_one_each():
    images = np.random.default_rng(0).uniform(0.2, 0.6, (3, 8, 8, 3)).astype(np.float32)
    out = np.asarray(standardized(jnp.asarray(images)))
    np.testing.assert_allclose(out.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(out.std((1, 2, 3)), 1, rtol=1e-4)
    flat = jnp.full((1, 8, 8, 3), 0.5)
    gradient = jax.grad(lambda x: standardized(x)[0, 0, 0, 0])(flat)
    assert np.isfinite(gradient).all()


def test_a_small_wide_resnet_is_its_blocks_in_evaluation():
    model = WideResNet(4, blocks=1, widths=(2, 4, 6, 8))
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 8, 8, 3)), jnp.float32)
    variables = model.init(jax.random.key(0), x)
    p = variables["params"]

    def conv(x, name, stride=1):
        return jax.lax.conv_general_dilated(
            x,
            p[name]["kernel"],
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def activate(x):  # running mean 0 and variance 1, gamma 1 and beta 0
        return nn.leaky_relu(x / np.sqrt(1 + 1e-3), 0.1)

    h = conv(standardized(x), "first")
    for stage, (width, stride) in enumerate([(4, 1), (6, 2), (8, 2)], 1):
        name = f"stage{stage}_block1"
        y = activate(h)
        h = y if stage == 1 else h
        y = conv(activate(conv(y, f"{name}_conv1", stride)), f"{name}_conv2")
        if stride == 2:
            h = h.reshape(2, h.shape[1] // 2, 2, h.shape[2] // 2, 2, -1).mean((2, 4))
        more = (width - h.shape[-1]) // 2
        h = y + jnp.pad(h, ((0, 0), (0, 0), (0, 0), (more, more)))
    logits = activate(h).mean((1, 2)) @ p["softmax"]["kernel"] + p["softmax"]["bias"]
    np.testing.assert_allclose(model.apply(variables, x)[0], logits, rtol=1e-3, atol=1e-4)


def test_batch_statistics_are_updated_in_training_alone():
    model = WideResNet(4, blocks=1, widths=(2, 4, 6, 8))
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 8, 8, 3)), jnp.float32)
    variables = model.init(jax.random.key(0), x)
    _, updated = model.apply(variables, x, train=True, mutable=["batch_stats"])
    mean = updated["batch_stats"]["last_norm"]["mean"]
    assert np.abs(mean).max() > 0


def test_conv_net_pools_twice_and_has_every_channel():
    model = ConvNet(10, (3, 5), 7)
    params = model.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))["params"]
    assert params["dense"]["kernel"].shape == (7 * 7 * 5, 7)
    np.testing.assert_allclose(params["conv1"]["bias"], 0.1)
    assert np.abs(params["dense"]["kernel"]).max() < 0.23  # truncated at two deviations
