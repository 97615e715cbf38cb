import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.alexnet import ARCHITECTURES, Head, Layer, Trunk
from research.nn.conv import Conv
from tests import plain_layers as plain

TWO_DEVICES = """
import json, jax, jax.numpy as jnp
from research.models.alexnet import TOWER_RULES, AlexNet, Trunk, apply_towers
from research.training import sharding
from research.pods.equivalence import relative_difference
from research.training.run_config import run_config

net = AlexNet("small_towers", 10, norm={"alpha": 1.0})
x = jax.random.normal(jax.random.key(0), (4, 8, 8, 3))
keys = jax.random.split(jax.random.key(1), 4)
params = jax.jit(net.init)(jax.random.key(2), x)
expected = jax.jit(net.apply)(params, x, keys)

@jax.jit
def run(params):
    def loss(params):
        logits = apply_towers(net, params["params"], x, keys)
        return jnp.sin(logits).sum(), logits
    return jax.grad(loss, has_aux=True)(params)

shape = run_config().mesh
shape.data, shape.model = 1, 2
mesh = sharding.make_mesh(shape)
gradients, _ = run(params)
with jax.set_mesh(mesh):
    split = jax.device_put(params, sharding.state_sharding(params, TOWER_RULES, mesh))
    got = run(split)
    Trunk._of_all_towers = lambda self, x: jnp.concatenate([x] * 2, 3)
    jax.clear_caches()
    broken = run(split)
one = jax.devices()[0]
got, broken = jax.device_put((got, broken), one)
print(json.dumps([relative_difference(got[1], expected), relative_difference(got[0], gradients),
                  relative_difference(broken[1], expected)]))
"""


@pytest.fixture(scope="module")
def numbers_of_two_devices():
    """Relative differences: logits, gradients, and logits where nothing is exchanged."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shapes(variant, size=224):
    images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    trunk = Trunk(variant)
    params = jax.eval_shape(trunk.init, jax.random.key(0), images)
    activations = jax.eval_shape(trunk.apply, params, images)
    head = jax.eval_shape(Head(variant, 1000).init, jax.random.key(0), activations)
    count = lambda tree: sum(math.prod(x.shape) for x in jax.tree.leaves(tree))  # noqa: E731
    return activations.shape, count(params), count(head)


def test_published_sizes():
    """6x6x256 activations; 60,965,224 parameters with two towers, 61,100,840 with 2014's one."""
    activations, trunk, head = shapes("2012")
    assert activations == (2, 9216) and trunk + head == 60_965_224
    activations, trunk, head = shapes("2012_one_tower")
    assert activations == (2, 9216) and trunk + head == 62_378_344
    assert shapes("2012", 227)[0] == (2, 9216)
    activations, trunk, head = shapes("2014")
    assert activations == (2, 9216) and (trunk, head) == (2_469_696, 58_631_144)


def test_two_towers_are_a_convolution_in_two_groups():
    """Each half of conv2 sees the half of the channels that is on its own GPU."""
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 4))
    ours = Layer(6, 3, groups=2)
    conv = Conv(ours.features, ours.kernel, padding=1, feature_group_count=ours.groups)
    params = conv.init(jax.random.key(1), x)
    kernel = params["params"]["kernel"]
    halves = [
        jax.lax.conv_general_dilated(
            x[..., 2 * i : 2 * i + 2],
            kernel[..., 3 * i : 3 * i + 3],
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        for i in range(2)
    ]
    np.testing.assert_allclose(
        conv.apply(params, x), jnp.concatenate(halves, -1), rtol=1e-5, atol=1e-6
    )
    assert [layer.groups for layer in ARCHITECTURES["2012"].layers] == [1, 2, 1, 2, 2]


# Deviations and biases of conv1 to conv5, then biases of the hidden layers and of the output: 2012,
# section 5; 2014, the author's configuration.
STARTS = {
    "2012": ((0.01,) * 5, (0, 1, 0, 1, 1), 1, 0),
    "2012_one_tower": ((0.01,) * 5, (0, 1, 0, 1, 1), 1, 0),
    "2014": ((0.01, 0.01, 0.03, 0.03, 0.03), (0, 1, 0, 1, 1), 1, -7),
}


@pytest.mark.parametrize("variant", STARTS)
def test_initial_values(variant, monkeypatch):
    deviations, biases, hidden_bias, output_bias = STARTS[variant]
    images = jnp.zeros((1, 67, 67, 3))
    trunk = jax.jit(Trunk(variant).init)(jax.random.key(0), images)["params"]
    for i, (deviation, bias) in enumerate(zip(deviations, biases, strict=True), start=1):
        layer = trunk[f"conv{i}"]
        assert np.std(layer["kernel"]) == pytest.approx(deviation, rel=0.03), i
        assert (layer["bias"] == bias).all(), i
    fewer = dataclasses.replace(ARCHITECTURES[variant], hidden=(256, 64))
    monkeypatch.setitem(ARCHITECTURES, variant, fewer)
    head = jax.jit(Head(variant, 100).init)(jax.random.key(0), jnp.zeros((1, 64)))["params"]
    assert set(head) == {"fc6", "fc7", "output"}
    for name, layer in head.items():
        assert layer["kernel"].std() == pytest.approx(0.01, rel=0.04)
        assert (layer["bias"] == (output_bias if name == "output" else hidden_bias)).all()


def lrn(x, towers):
    """b = a / (2 + 1e-4 sum of a^2 over 5 channels)^0.75, in each tower by itself."""
    out = np.empty_like(x)
    width = x.shape[-1] // towers
    for i in range(x.shape[-1]):
        first = i // width * width
        near = x[..., max(first, i - 2) : min(first + width, i + 3)]
        out[..., i] = x[..., i] / (2 + 1e-4 * (near**2).sum(-1)) ** 0.75
    return out


@pytest.mark.parametrize("variant", ["2012", "2014"])
def test_convolutions_are_written_out(variant):
    """2012, section 3.5 and figure 2: ReLU, norm, pool; conv2, 4 and 5 see their own tower.

    2014: norm and pool come before the ReLU of layer 1, pool before that of layer 5.
    """
    x = jax.random.normal(jax.random.key(0), (2, 67, 67, 3))
    net = Trunk(variant, {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}, input_scale=300.0)
    params = jax.jit(net.init)(jax.random.key(1), x)
    found = jax.jit(net.apply)(params, x)

    towers = 2 if variant == "2012" else 1
    params = plain.float64(params["params"])

    def conv(i, x, stride=1, groups=1):
        kernel, bias = params[f"conv{i}"]["kernel"], params[f"conv{i}"]["bias"]
        padding = [(0, 0) if stride > 1 else (len(kernel) // 2,) * 2] * 2
        parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
        outputs = [plain.conv(part, own, stride, padding) for part, own in parts]
        return np.concatenate(outputs, -1) + bias

    def pool(x):
        return plain.max_pool(x, 3, 2)

    y = conv(1, 300.0 * np.asarray(x, np.float64), stride=4)
    y = pool(lrn(plain.relu(y), towers)) if variant == "2012" else plain.relu(pool(lrn(y, 1)))
    y = pool(lrn(plain.relu(conv(2, y, groups=towers)), towers))
    y = plain.relu(conv(3, y))
    y = plain.relu(conv(4, y, groups=towers))
    y = pool(plain.relu(conv(5, y, groups=towers)))  # either order of these two is the same
    np.testing.assert_allclose(found, y.reshape(2, -1), rtol=1e-3, atol=1e-3)


def test_fully_connected_layers_are_written_out():
    """ReLUs; in testing all units are there and their outputs halved (section 4.2)."""
    head = Head("small_towers", 10, dropout=0.5)
    x = jax.random.normal(jax.random.key(0), (3, 12))
    params = head.init(jax.random.key(1), x)
    keys = jax.random.split(jax.random.key(2), 3)
    layers = plain.float64(params["params"])

    def written_out(kept):
        y = np.asarray(x, np.float64)
        for name, keep in zip(("fc4", "fc5"), kept, strict=True):
            y = keep * plain.relu(y @ layers[name]["kernel"] + layers[name]["bias"])
        return y @ layers["output"]["kernel"] + layers["output"]["bias"]

    np.testing.assert_allclose(head.apply(params, x), written_out([0.5, 0.5]), rtol=1e-4)
    masks = [np.asarray(head._kept(keys, i, 32, 0.5)) for i in range(2)]
    assert all(0.3 < mask.mean() < 0.7 for mask in masks) and (masks[0] != masks[1]).any()
    np.testing.assert_allclose(head.apply(params, x, keys), written_out(masks), rtol=1e-4)


def test_dropout_belongs_to_the_image_and_is_made_up_for_in_testing():
    head = Head("small", 10, dropout=0.5)
    x = jax.random.normal(jax.random.key(0), (4, 12))
    params = head.init(jax.random.key(1), x)
    keys = jax.random.split(jax.random.key(2), 4)
    apply = jax.jit(head.apply)
    order = jnp.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        apply(params, x[order], keys[order]), apply(params, x, keys)[order], rtol=1e-5
    )
    many = jnp.broadcast_to(x[:1], (4000, 12))
    mean = apply(params, many, jax.random.split(jax.random.key(3), 4000)).mean(0)
    np.testing.assert_allclose(mean, apply(params, x[:1])[0], atol=0.15)


def test_inputs_are_dropped_too():
    head = Head("small", 10, dropout=0.0, input_dropout=0.2)
    x = jax.random.normal(jax.random.key(0), (1, 12))
    params = head.init(jax.random.key(1), x)
    scaled = Head("small", 10, dropout=0.0).apply(params, 0.8 * x)
    np.testing.assert_allclose(head.apply(params, x), scaled, rtol=1e-5)
    kept = head._kept(jax.random.split(jax.random.key(2), 4000), 1, 12, 0.2)
    assert kept.mean() == pytest.approx(0.8, abs=0.01)
    keys = jax.random.split(jax.random.key(3), 3)
    expected = Head("small", 10, dropout=0.0).apply(params, x * head._kept(keys, 1, 12, 0.2))
    np.testing.assert_allclose(head.apply(params, jnp.repeat(x, 3, 0), keys), expected, rtol=1e-5)


def test_towers_meet_before_the_third_layer_and_nowhere_else():
    """Section 3.2: by the gradient of a channel of layer 2 for the channels of layer 1."""
    net = Trunk("small_towers", {"alpha": 1.0})
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 3))
    params = jax.jit(net.init)(jax.random.key(1), x)

    def second_layer(bias):
        changed = {
            "params": {
                **params["params"],
                "conv1": {"kernel": params["params"]["conv1"]["kernel"], "bias": bias},
            }
        }
        _, kept = net.apply(changed, x, capture_intermediates=True)
        layers = kept["intermediates"]
        return [layers[f"conv{i}"]["__call__"][0].sum((0, 1, 2)) for i in (2, 3)]

    second, third = jax.jit(jax.jacobian(second_layer))(params["params"]["conv1"]["bias"])
    assert (second[:8, 4:] == 0).all() and (second[8:, :4] == 0).all()
    assert (second[:8, :4] != 0).any() and (third[:8, 4:] != 0).any()


def test_towers_on_devices_of_their_own(numbers_of_two_devices):
    """Outputs and gradients, dropout on, are those of the grouped convolutions on one device."""
    logits, gradients, lost = numbers_of_two_devices
    assert logits < 1e-5 and gradients < 1e-5
    assert lost > 0.1  # a tower that is not told of the other


def test_outputs_that_are_no_class():
    head = Head("small", 10, outputs_multiple=8, dropout=0.0)
    logits = head.apply(head.init(jax.random.key(0), jnp.zeros((1, 4))), jnp.ones((2, 4)))
    assert logits.shape == (2, 16)
    assert (logits[:, 10:] < -1e8).all() and (logits[:, :10] > -1e8).all()
