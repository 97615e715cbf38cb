"""The network that the samples of a generative model are seen through, by its name.

`project_cnn` is trained beside the model; `inception_2015` and `vgg16` have released weights, which
have to lie in the data folder. No network ever stands in for another: metrics carry the name of the
one that they were made with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from research.core.errors import UserError, check_choice
from research.data.images.squares import Squares
from research.metrics import perceptual
from research.metrics.features import FeatureNet, NetworkFeatures
from research.metrics.perceptual import PerceptualDistance
from research.metrics.project_cnn import ClassifierTraining
from research.models import inception_2015, lpips, vgg
from research.training.loop import run
from research.training.phases import beside
from research.weights import released

NETWORKS = ("project_cnn", "inception_2015", "vgg16")
_SOURCES = {
    "inception_2015": "pt_inception-2015-12-05-6726825d.pth (github.com/mseitzer/pytorch-fid)",
    "vgg16": "torchvision's vgg16-397923af.pth",
    "alexnet": "torchvision's alexnet-owt-7be5be79.pth",
    "lpips": "the linear layers of LPIPS 0.1 (github.com/richzhang/PerceptualSimilarity)",
}
_VGG_SIZE = 224
# Of activations of the reference image, which rounding may move.
_TOLERANCE = 1e-3

# What the arms and seeds of a run are measured by is made once, and is the same for all.
_made: dict[str, FeatureNet] = {}


def feature_network(
    train: Squares,
    name: str,
    settings: ConfigDict,
    config: ConfigDict,
    workdir: Path,
    network: str = "project_cnn",
) -> FeatureNet | None:
    """The network of this name; trains the project's on the labels of a training split.

    Args:
      train: the split.
      name: of the data set, for the network's name.
      settings: `width`, `num_steps` and `batch_size` of `ClassifierTraining`.
      config: of the run that it is trained beside.
      workdir: where its training is kept.
      network: one of `NETWORKS`.

    Returns:
      The network; None where `settings.num_steps` is 0, as for images without labels, and the
      project's network is asked for.

    Raises:
      UserError: a released network is asked for whose weights are not there, or are not its own.
    """
    check_choice("eval.network", network, NETWORKS)
    if network != "project_cnn":
        return released_network(network, config.data.dir)
    if not settings.num_steps:
        return None
    known = repr((name, train, settings.to_dict()))
    if known not in _made:
        num_classes = int(train.labels().max()) + 1
        classifier = ClassifierTraining(train, name, num_classes, **settings)
        state, _ = run(classifier, beside(config, seed=0), workdir)
        _made[known] = classifier.network(state)
    return _made[known]


def check_network(network: str, folders: str) -> None:
    """Refuses, before a long training, a network that samples could not be seen through after it.

    Raises:
      UserError: see `feature_network`.
    """
    if network != "project_cnn":
        released_network(network, folders)


def released_network(network: str, folders: str) -> FeatureNet:
    """A network with released weights: "inception_2015", or "vgg16", whose features are fc2's.

    Args:
      network: its name.
      folders: where `released.read` looks for its file.

    Raises:
      UserError: the file is missing or damaged, lacks arrays, or does not make of the reference
        image what it says it should.
    """
    known = repr((network, folders))
    if known not in _made:
        arrays = released.read(network, folders, _SOURCES[network])
        made = _released(network, arrays)
        _check_reference(network, made, arrays)
        _made[known] = made
    return _made[known]


def released_lpips(network: str, folders: str) -> PerceptualDistance:
    """LPIPS 0.1 of the released weights of a network and of its linear layers.

    Args:
      network: "vgg16", as for path lengths, or "alexnet".
      folders: where `released.read` looks for its files.

    Raises:
      UserError: a file is missing or lacks arrays.
    """
    check_choice("network", network, lpips.STAGES)
    arrays = released.read(network, folders, _SOURCES[network])
    heads = released.read(f"lpips_{network}", folders, _SOURCES["lpips"])
    net = lpips.Taps(lpips.STAGES[network])
    try:
        params = lpips.released_params(network, arrays)
        weights = [heads[f"lin{i}.model.1.weight"].reshape(-1) for i in range(len(net.stages))]
    except KeyError as error:
        raise UserError(f"the weights of LPIPS by {network} have no {error.args[0]}") from error

    def taps(params: Any, images: jax.Array) -> perceptual.Taps:
        maps: Any = net.apply({"params": params}, _as_imagenet(images))
        return maps

    return PerceptualDistance("LPIPS", network, params, taps, weights, batch_size=10)


def reference_image() -> np.ndarray:
    """The image `[1, 64, 64, 3]` uint8 that a released file says the activations of."""
    i, j, c = np.ogrid[:64, :64, :3]
    return ((7 * i + 13 * j + 31 * c) % 256).astype(np.uint8)[None]


def _released(network: str, arrays: dict[str, np.ndarray]) -> NetworkFeatures:
    try:
        if network == "inception_2015":
            variables = inception_2015.released_variables(arrays)
            return NetworkFeatures(network, variables, _inception, batch_size=25)
        params = vgg.released_params(arrays)
        return NetworkFeatures(network, params, _vgg16, batch_size=25)
    except KeyError as error:
        raise UserError(f"the weights of {network!r} have no {error.args[0]}") from error
    except ValueError as error:
        raise UserError(f"the weights of {network!r} are of another network: {error}") from error


def _inception(variables: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    _, maps = inception_2015.Inception2015().apply(variables, inception_2015.to_bytes(images))
    return maps["logits_unbiased"], maps["features"]


def _vgg16(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    size = (len(images), _VGG_SIZE, _VGG_SIZE, images.shape[-1])
    images = jax.image.resize(images, size, "bilinear")
    logits, maps = vgg.vgg16().apply({"params": params}, _as_imagenet(images))
    return logits, maps["hidden"]


def _as_imagenet(images: jax.Array) -> jax.Array:
    return perceptual.scaled(jnp.broadcast_to(images, (*images.shape[:-1], 3)))


def _check_reference(network: str, net: NetworkFeatures, arrays: dict[str, np.ndarray]) -> None:
    """Compares the features of the reference image with those in the file.

    Raises:
      UserError: there are none, or they differ.
    """
    if "reference_features" not in arrays:
        raise UserError(
            f"the weights of {network!r} come without reference_features, the activations of the "
            "reference image: make the file as docs/papers/gan_metrics.md says"
        )
    expected = np.asarray(arrays["reference_features"], np.float64).reshape(-1)
    found = net.features(reference_image() / np.float32(127.5) - 1)[0]
    apart = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    if not apart <= _TOLERANCE:
        raise UserError(
            f"{network!r} sees another thing in the reference image than its file says "
            f"({apart:.2g} apart): the file's weights or activations are of another network"
        )
