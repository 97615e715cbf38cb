"""Which network samples are seen through: the one that is named, or none."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from research.core.errors import UserError
from research.metrics.features import NetworkFeatures, metric_name
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


def test_lpips_needs_both_files(tmp_path):
    with pytest.raises(UserError, match="vgg16.npz"):
        feature_network.lpips_vgg16(str(tmp_path))
    np.savez(tmp_path / "vgg16.npz", other=np.ones(3))
    with pytest.raises(UserError, match="lpips_vgg16.npz"):
        feature_network.lpips_vgg16(str(tmp_path))
    np.savez(tmp_path / "lpips_vgg16.npz", other=np.ones(3))
    with pytest.raises(UserError, match="have no features.0.weight"):
        feature_network.lpips_vgg16(str(tmp_path))


def test_the_reference_image_shows_every_value():
    image = feature_network.reference_image()
    assert image.shape == (1, 64, 64, 3) and image.dtype == np.uint8
    assert len(np.unique(image)) == 256 and image[0, 1, 2, 1] == 7 + 26 + 31
