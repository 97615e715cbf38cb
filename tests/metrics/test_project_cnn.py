"""The feature network: trained by the loop as any experiment, and the same for the same data."""

import numpy as np
import pytest

from research import training
from research.metrics.project_cnn import ClassifierTraining


@pytest.fixture(scope="module")
def records():
    """Dark images of class 0, bright ones of class 1."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (rng.integers(0, 80, (40, 8, 8, 3)) + 150 * labels[:, None, None, None]).astype(
        "uint8"
    )
    return [{"image": x, "label": y} for x, y in zip(images, labels, strict=True)]


def train(records, workdir):
    experiment = ClassifierTraining(records, "toy", 2, width=2, num_steps=100, batch_size=8)
    return experiment.network(training.run(experiment, training.run_config(), workdir)[0])


def test_classes_are_learned_and_the_network_is_named_after_its_data(records, tmp_path):
    net = train(records, tmp_path / "first")
    images = np.stack([r["image"] for r in records]) / np.float32(127.5) - 1
    assert (net.probs(images).argmax(1) == [r["label"] for r in records]).mean() > 0.9
    assert net.features(images).shape == (40, 8)
    assert net.name == "project_cnn:toy"
    again = train(records, tmp_path / "again")
    assert again.weights_sha256 == net.weights_sha256
    other = train(records[:20], tmp_path / "other")
    assert other.weights_sha256 != net.weights_sha256
