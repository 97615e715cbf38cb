"""The Inception network of 2015: its counts, its oddities, and the mapping of its weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models import inception_2015
from research.models.inception_2015 import Inception2015
from tests.plain_layers import batch_norm, conv, float64, relu


def shapes(outputs=1008):
    image = jnp.zeros((1, 299, 299, 3))
    return jax.eval_shape(Inception2015(outputs).init, jax.random.key(0), image)


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


def test_parameters():
    """With 1,000 outputs as many as torchvision's Inception v3 without its second head."""
    assert count(shapes(1000)["params"]) == 23_834_568
    assert count(shapes()["params"]) == 23_850_960 == 23_834_568 + 8 * 2049
    assert count(shapes()["batch_stats"]) == 2 * 17_216  # means and variances of every channel


def test_blocks_have_the_published_sizes():
    maps = {}

    def note(next_fun, args, kwargs, context):
        out = next_fun(*args, **kwargs)
        if context.module.name and context.module.name.startswith(("Mixed", "Conv2d")):
            maps[context.module.name] = out.shape[1:]
        return out

    with nn.intercept_methods(note):
        logits, more = jax.eval_shape(
            Inception2015().apply, shapes(), jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
        )
    assert logits.shape == more["logits_unbiased"].shape == (2, 1008)
    assert more["features"].shape == (2, 2048)
    assert maps["Conv2d_1a_3x3"] == (149, 149, 32) and maps["Conv2d_4a_3x3"] == (71, 71, 192)
    assert maps["Mixed_5b"] == (35, 35, 256) and maps["Mixed_5d"] == (35, 35, 288)
    assert maps["Mixed_6a"] == maps["Mixed_6e"] == (17, 17, 768)
    assert maps["Mixed_7a"] == (8, 8, 1280) and maps["Mixed_7c"] == (8, 8, 2048)


def test_average_of_a_pool_does_not_count_the_padding():
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    expected = np.zeros_like(x)
    for i in range(4):
        for j in range(5):
            near = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            expected[:, i, j] = near.mean((1, 2))
    np.testing.assert_allclose(inception_2015.average_pool(x), expected, rtol=1e-5, atol=1e-6)


def random_variables(module, x, seed=0):
    """Of a small module, every array drawn, variances above 0."""
    variables = module.init(jax.random.key(seed), x)
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        value = rng.normal(size=leaf.shape)
        return np.float32(np.abs(value) + 0.5 if path[-1].key == "var" else value)

    return jax.tree_util.tree_map_with_path(draw, variables)


def plain_layer(variables, name, x, stride=1, pads=((0, 0), (0, 0))):
    params, stats = variables["params"][name], variables["batch_stats"][name]
    x = conv(x, params["conv"]["kernel"], stride, pads)
    return relu(batch_norm(params["bn"], x, stats["bn"], 1e-3))


def neighbours_max(x):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    rows, columns = x.shape[1:3]
    shifted = [padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return np.max(shifted, axis=0)


@pytest.mark.parametrize("pool", ["average", "max", "reduce"])
def test_a_block_is_its_branches_side_by_side(pool):
    block = inception_2015.Mixed(
        (
            (("one", 2, 1, 1), ("wide", 3, 1, 7)),
            (("two", 2, 1, 1), (("tall_a", 2, 1, 3), ("tall_b", 1, 3, 1))),
        )
        if pool != "reduce"
        else ((("one", 2, 1, 1), ("last", 3, 3, 3)),),
        pool=pool,
        pool_features=2,
    )
    x = np.random.default_rng(1).normal(size=(2, 7, 7, 3)).astype(np.float32)
    variables = random_variables(block, x)
    v, x64 = float64(variables), x.astype(np.float64)
    one = plain_layer(v, "one", x64)
    if pool == "reduce":
        pooled = np.lib.stride_tricks.sliding_window_view(x64, (3, 3), (1, 2))[:, ::2, ::2]
        expected = [plain_layer(v, "last", one, 2), pooled.max((-2, -1))]
    else:
        two = plain_layer(v, "two", x64)
        near = neighbours_max(x64)
        if pool == "average":
            near = np.asarray(inception_2015.average_pool(x), np.float64)
        expected = [
            plain_layer(v, "wide", one, pads=((0, 0), (3, 3))),
            plain_layer(v, "tall_a", two, pads=((0, 0), (1, 1))),
            plain_layer(v, "tall_b", two, pads=((1, 1), (0, 0))),
            plain_layer(v, "branch_pool", near),
        ]
    found = block.apply(variables, x)
    np.testing.assert_allclose(found, np.concatenate(expected, -1), rtol=1e-3, atol=1e-3)


def test_the_last_block_alone_has_a_max_pool():
    pools = {}

    def note(next_fun, args, kwargs, context):
        if isinstance(context.module, inception_2015.Mixed):
            pools[context.module.name] = context.module.pool
        return next_fun(*args, **kwargs)

    with nn.intercept_methods(note):
        shapes()
    assert [name for name, pool in pools.items() if pool == "max"] == ["Mixed_7c"]
    assert [name for name, pool in pools.items() if pool == "reduce"] == ["Mixed_6a", "Mixed_7a"]


def released():
    """Arrays by the port's names, each of other numbers, laid out as PyTorch has them."""
    arrays = {}

    def put(path, leaf):
        *layer, kind = (entry.key for entry in path[1:])
        shape = leaf.shape
        if kind == "kernel":
            shape = (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]
        kinds = {"kernel": "weight", "scale": "weight", "mean": "running_mean"}
        kinds |= {"bias": "bias", "var": "running_var"}
        name = ".".join([*layer, kinds[kind]])
        arrays[name] = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)

    jax.tree_util.tree_map_with_path(put, shapes())
    return arrays


def test_released_weights_are_mapped_by_name():
    arrays = released()
    assert "Mixed_6c.branch7x7dbl_4.conv.weight" in arrays
    assert arrays["Mixed_6c.branch7x7dbl_4.conv.weight"].shape == (160, 160, 7, 1)
    assert "Mixed_7b.branch3x3dbl_3b.bn.running_var" in arrays and "fc.bias" in arrays
    variables = inception_2015.released_variables(arrays)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda s: s.shape, shapes())
    kernel = variables["params"]["Conv2d_1a_3x3"]["conv"]["kernel"]
    weight = arrays["Conv2d_1a_3x3.conv.weight"]
    assert kernel[1, 2, 0, 5] == weight[5, 0, 1, 2]
    assert variables["params"]["fc"]["kernel"][3, 7] == arrays["fc.weight"][7, 3]
    mean = variables["batch_stats"]["Mixed_5b"]["branch_pool"]["bn"]["mean"]
    np.testing.assert_array_equal(mean, arrays["Mixed_5b.branch_pool.bn.running_mean"])
    del arrays["Mixed_7a.branch7x7x3_2.conv.weight"]
    with pytest.raises(KeyError, match="Mixed_7a.branch7x7x3_2.conv.weight"):
        inception_2015.released_variables(arrays)


def test_images_are_whole_numbers_with_three_channels():
    images = jnp.array([-1.0, 1.0, 0.0, 2.0]).reshape(1, 2, 2, 1)
    found = inception_2015.to_bytes(images)
    assert found.shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(found[0, :, :, 0], [[0, 255], [128, 255]])


@pytest.mark.slow
def test_logits_without_bias():
    """The whole network, once: what the Inception score is made of has no bias."""
    net, image = Inception2015(), jnp.full((1, 32, 32, 3), 100.0)
    variables = jax.jit(net.init)(jax.random.key(0), image)
    bias = jnp.arange(1008.0)
    params = {**variables["params"], "fc": {**variables["params"]["fc"], "bias": bias}}
    logits, maps = jax.jit(net.apply)({**variables, "params": params}, image)
    np.testing.assert_allclose(logits - maps["logits_unbiased"], bias[None], atol=1e-3)
    expected = maps["features"] @ params["fc"]["kernel"]
    np.testing.assert_allclose(maps["logits_unbiased"], expected, atol=1e-3)
