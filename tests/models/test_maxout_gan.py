"""The networks of the first GAN against plain formulas and pylearn2's shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.errors import UserError
from research.models.maxout_gan import Convolution, Deconvolution, Discriminator, Generator


def plain_logits(params, x):
    """A dense discriminator in NumPy, without dropout."""
    h = np.asarray(x).reshape(len(x), -1)
    for name in ("maxout1", "maxout2"):
        kernel, bias = (np.asarray(params[name]["pieces"][key]) for key in ("kernel", "bias"))
        h = (h @ kernel + bias).reshape(len(h), -1, 3).max(-1)
    return (h @ params["logit"]["kernel"] + params["logit"]["bias"])[:, 0]


def test_the_discriminator_is_two_layers_of_maxout_units():
    net = Discriminator((4, 5), pieces=3, init_range=1.0)
    x = np.random.default_rng(0).random((6, 2, 2, 1), np.float32)
    variables = net.init(jax.random.key(0), x, train=False)
    logits, maps = net.apply(variables, x, train=False)
    np.testing.assert_allclose(logits, plain_logits(variables["params"], x), rtol=1e-4)
    assert {name: h.shape for name, h in maps.items()} == {"maxout1": (6, 4), "maxout2": (6, 5)}


def test_every_layer_gets_scaled_dropout():
    """Image 0.8 kept, times 1.25; what hidden layers and the output get 0.5 kept, times 2."""
    net = Discriminator((4, 5), pieces=3, init_range=1.0)
    x = np.random.default_rng(0).random((6, 2, 2, 1), np.float32)
    variables = net.init(jax.random.key(0), x, train=False)
    found, _ = net.apply(variables, x, train=True, rngs={"dropout": jax.random.key(1)})
    plain = plain_logits(variables["params"], x)
    assert not np.allclose(found, plain)
    no_input = Discriminator((4, 5), pieces=3, input_dropout=0.0, dropout=0.0)
    same, _ = no_input.apply(variables, x, train=True, rngs={"dropout": jax.random.key(1)})
    np.testing.assert_allclose(same, plain, rtol=1e-4)

    # With all weights 1 and biases 0, every unit is the sum of what is kept.
    ones = jax.tree.map(lambda p: jnp.float32(p.ndim > 1) * jnp.ones_like(p), variables)
    big = jnp.ones((400, 2, 2, 1))
    keys = {"rngs": {"dropout": jax.random.key(1)}}
    only_input, maps = Discriminator((4, 5), pieces=3, dropout=0.0).apply(
        ones, big, train=True, **keys
    )
    kept = np.asarray(maps["maxout1"][:, 0]) / 1.25
    np.testing.assert_allclose(kept, np.round(kept), atol=1e-5)
    assert abs(kept.mean() / 4 - 0.8) < 0.04
    np.testing.assert_allclose(only_input, 1.25 * kept * 4 * 5, rtol=1e-5)
    logits, maps = Discriminator((4, 5), pieces=3, input_dropout=0.0).apply(
        ones, big, train=True, **keys
    )
    assert set(np.round(np.asarray(maps["maxout2"])[:, 0] / (2 * 4), 4)) <= {0, 1, 2, 3, 4}
    kept = np.asarray(logits) / (2 * np.maximum(np.asarray(maps["maxout2"])[:, 0], 1))
    assert set(np.round(kept, 4)) <= {0, 1, 2, 3, 4, 5} and abs(kept.mean() / 5 - 0.5) < 0.05


def test_the_generator_is_two_relu_layers_and_a_sigmoid_without_dropout():
    net = Generator((2, 3, 1), (4, 5), init_range=1.0)
    z = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    variables = net.init(jax.random.key(0), z, train=True)
    p = jax.tree.map(np.asarray, variables["params"])
    h = np.maximum(z @ p["dense1"]["kernel"] + p["dense1"]["bias"], 0)
    h = np.maximum(h @ p["dense2"]["kernel"] + p["dense2"]["bias"], 0)
    expected = 1 / (1 + np.exp(-(h @ p["out"]["kernel"] + p["out"]["bias"])))
    images, _ = net.apply(variables, z, train=True)
    np.testing.assert_allclose(images, expected.reshape(6, 2, 3, 1), rtol=1e-5)


def test_weights_begin_uniform_and_biases_at_zero():
    g = Generator((28, 28, 1)).init(jax.random.key(0), jnp.zeros((1, 100)), train=True)
    d = Discriminator().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)), train=False)
    for params, bound in ((g, 0.05), (d, 0.005)):
        kernels = [np.asarray(p).ravel() for p in jax.tree.leaves(params) if p.ndim > 1]
        for kernel in kernels:
            assert abs(kernel).max() <= bound
        largest = max(kernels, key=len)
        np.testing.assert_allclose(largest.std(), bound / np.sqrt(3), rtol=0.02)
        assert not any(p.any() for p in jax.tree.leaves(params) if p.ndim == 1)


def test_the_transpose_of_a_convolution_makes_the_image():
    """Each unit adds its kernel at its place, three pixels apart; each pixel has its own bias."""
    net = Generator(
        (11, 11, 2), (3, 27), ("relu", "sigmoid", "linear"), Deconvolution(3, 5, 3), init_range=1.0
    )
    z = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    variables = net.init(jax.random.key(0), z, train=True)
    bias = np.random.default_rng(1).normal(size=(11, 11, 2)).astype(np.float32)
    params = {**variables["params"], "out_bias": bias}
    images, maps = net.apply({"params": params}, z, train=True)
    hidden = np.asarray(maps["dense2"]).reshape(2, 3, 3, 3)
    kernel = np.asarray(params["out"]["kernel"])[::-1, ::-1]  # applied without a flip
    expected = np.repeat(bias[None], 2, 0)
    for row in range(3):
        for column in range(3):
            patch = np.einsum("bc,hwcf->bhwf", hidden[:, row, column], kernel)
            expected[:, 3 * row : 3 * row + 5, 3 * column : 3 * column + 5] += patch
    np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-5)


def test_a_grid_that_makes_another_image_is_refused():
    net = Generator((28, 28, 1), (8, 100), ("relu", "relu", "sigmoid"), Deconvolution(10, 5, 3))
    with pytest.raises(UserError, match="makes 32x32 pixels of a multiple of 100 units, not 28x28"):
        jax.eval_shape(lambda key: net.init(key, jnp.zeros((1, 4)), train=True), jax.random.key(0))


def test_convolutions_have_pylearn2s_shapes():
    """33 and 15 pixels wide, as the released configuration's partial sums say, then pooled."""
    layers = (
        Convolution(32, 8, 4, 4, 2),
        Convolution(32, 8, 3, 4, 2),
        Convolution(192, 5, 3, 2, 2),
    )
    net = Discriminator((500,), convolutions=layers)
    images = jnp.zeros((1, 32, 32, 3))

    def run(key):
        return net.init_with_output({"params": key, "dropout": key}, images, train=True)

    (logits, maps), variables = jax.eval_shape(run, jax.random.key(0))
    assert logits.shape == (1,)
    shapes = [maps[f"conv{i}"].shape[1:] for i in (1, 2, 3)]
    assert shapes == [(16, 16, 32), (7, 7, 32), (5, 5, 192)]
    kernels = [variables["params"][f"conv{i}"]["pieces"]["kernel"].shape for i in (1, 2, 3)]
    assert kernels == [(8, 8, 3, 64), (8, 8, 32, 64), (5, 5, 32, 384)]
