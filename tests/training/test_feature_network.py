"""Which network samples are seen through: the one that is named, or none."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from research.core.errors import UserError
from research.metrics.features import NetworkFeatures, metric_name
from research.models import inception_2015, lpips
from research.training import feature_network


@pytest.fixture(autouse=True)
def nothing_made(monkeypatch):
    monkeypatch.delenv("LANDMARKS_DATA", raising=False)
    monkeypatch.setattr(feature_network, "_made", {})


def small(name, arrays):
    """A network of one matrix in place of a large one."""

    def forward(variables, images):
        features = images.mean((1, 2)) @ variables
        return features, features

    return NetworkFeatures(name, arrays["matrix"], forward)


def put(folder, **more):
    matrix = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    pixels = feature_network.reference_image() / np.float32(127.5) - 1
    arrays = {"matrix": matrix, "reference_features": pixels.mean((1, 2))[0] @ matrix, **more}
    np.savez(folder / "inception_2015.npz", **{k: v for k, v in arrays.items() if v is not None})


@pytest.mark.parametrize("network", ["inception_2015", "vgg16"])
def test_a_network_without_its_weights_is_refused_and_never_replaced(network, tmp_path):
    with pytest.raises(UserError, match=f"{network}.safetensors or {network}.npz in {tmp_path}"):
        feature_network.check_network(network, str(tmp_path))
    with pytest.raises(UserError, match="inception_v3"):
        feature_network.feature_network(None, "toy", None, None, tmp_path, "inception_v3")
    feature_network.check_network("project_cnn", str(tmp_path))
    settings = ConfigDict({"num_steps": 0})  # where the project's network would be None
    config = ConfigDict({"data": {"dir": str(tmp_path)}})
    with pytest.raises(UserError, match="needs its released weights"):
        feature_network.feature_network(None, "toy", settings, config, tmp_path, network)


def test_the_reference_activation_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_network, "_released", small)
    put(tmp_path)
    net = feature_network.released_network("inception_2015", str(tmp_path))
    assert metric_name("FID", net) == f"FID[inception_2015@{net.weights_sha256[:6]}]"
    assert feature_network.released_network("inception_2015", str(tmp_path)) is net


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"reference_features": np.ones(4)}, "sees another thing in the reference image"),
        ({"matrix": np.full((3, 4), np.nan, np.float32)}, "sees another thing"),
        ({"reference_features": None}, "without reference_features"),
    ],
)
def test_other_weights_than_the_file_says(broken, words, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_network, "_released", small)
    put(tmp_path, **broken)
    with pytest.raises(UserError, match=words):
        feature_network.released_network("inception_2015", str(tmp_path))


@pytest.mark.parametrize("network", ["inception_2015", "vgg16"])
def test_a_file_that_lacks_arrays_is_refused(network, tmp_path):
    np.savez(tmp_path / f"{network}.npz", other=np.ones(3))
    with pytest.raises(UserError, match=f"weights of '{network}' have no "):
        feature_network.released_network(network, str(tmp_path))


@pytest.mark.parametrize("network", ["vgg16", "alexnet"])
def test_lpips_needs_both_files(network, tmp_path):
    with pytest.raises(UserError, match=f"or {network}.npz"):
        feature_network.released_lpips(network, str(tmp_path))
    np.savez(tmp_path / f"{network}.npz", other=np.ones(3))
    with pytest.raises(UserError, match=f"lpips_{network}.npz"):
        feature_network.released_lpips(network, str(tmp_path))
    np.savez(tmp_path / f"lpips_{network}.npz", other=np.ones(3))
    with pytest.raises(UserError, match="have no features.0.weight"):
        feature_network.released_lpips(network, str(tmp_path))


def test_lpips_of_grey_images_of_any_size(tmp_path):
    """AlexNet's convolutions with drawn weights, and heads that weigh all channels alike."""
    shapes = jax.eval_shape(
        lpips.Taps(lpips.STAGES["alexnet"]).init, jax.random.key(0), np.zeros((1, 64, 64, 3))
    )
    rng, arrays = np.random.default_rng(0), {}
    for i, j in enumerate((0, 3, 6, 8, 10)):
        kernel = shapes["params"][f"Conv_{i}"]["kernel"].shape
        arrays[f"features.{j}.weight"] = 0.05 * rng.normal(size=kernel).transpose(3, 2, 0, 1)
        arrays[f"features.{j}.bias"] = np.zeros(kernel[3])
    heads = {
        f"lin{i}.model.1.weight": np.ones((1, channels, 1, 1))
        for i, channels in enumerate((64, 192, 384, 256, 256))
    }
    np.savez(tmp_path / "alexnet.npz", **arrays)
    np.savez(tmp_path / "lpips_alexnet.npz", **heads)
    distance = feature_network.released_lpips("alexnet", str(tmp_path))
    images = rng.uniform(-1, 1, (3, 35, 35, 1)).astype(np.float32)
    near, far = distance(images, 0.9 * images), distance(images, images[::-1])
    assert distance.kind == "LPIPS" and near[0] > 0 and far[0] > near[0]
    np.testing.assert_allclose(distance(images, images), 0, atol=1e-6)


def test_the_inception_score_is_made_of_logits_without_bias(monkeypatch):
    class Stub:
        def apply(self, variables, images):
            maps = {"features": images.mean((1, 2)), "logits_unbiased": images[:, 0, 0]}
            return images[:, 0, 0] + variables, maps

    monkeypatch.setattr(inception_2015, "Inception2015", Stub)
    logits, features = feature_network._inception(7.0, np.full((2, 4, 4, 1), -1.0))
    np.testing.assert_array_equal(logits, 0)
    assert features.shape == (2, 3)


def test_the_reference_image_shows_every_value():
    image = feature_network.reference_image()
    assert image.shape == (1, 64, 64, 3) and image.dtype == np.uint8
    assert len(np.unique(image)) == 256 and image[0, 1, 2, 1] == 7 + 26 + 31


@pytest.mark.slow
def test_a_whole_file_of_inception_is_read(tmp_path):
    """Drawn weights, written as the port has them, with what the network makes of the image."""
    image = feature_network.reference_image()
    net = inception_2015.Inception2015()
    variables = jax.jit(net.init)(jax.random.key(0), image)
    expected = net.apply(variables, image)[1]["features"]
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean"}
    names |= {"bias": "bias", "var": "running_var"}
    arrays = {"reference_features": np.asarray(expected)}
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        *layer, kind = (entry.key for entry in path[1:])
        array = np.asarray(leaf)
        if kind == "kernel":
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        arrays[".".join([*layer, names[kind]])] = array
    np.savez(tmp_path / "inception_2015.npz", **arrays)
    found = feature_network.released_network("inception_2015", str(tmp_path))
    pixels = image / np.float32(127.5) - 1
    np.testing.assert_allclose(found.features(pixels), expected, rtol=1e-3, atol=1e-4)
    assert found.probs(pixels).shape == (1, 1008)
