"""The network that a sample metric sees through."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import jax
import numpy as np


class FeatureNet(Protocol):
    """Features and class probabilities of images, with a name that says whose they are.

    Attributes:
      name: of the network and the data it was trained on, such as "project_cnn:mnist".
      weights_sha256: of its parameters.
    """

    name: str
    weights_sha256: str

    def features(self, images: np.ndarray) -> np.ndarray:
        """`[N, d]` of images `[N, H, W, C]` in [-1, 1]."""

    def probs(self, images: np.ndarray) -> np.ndarray:
        """`[N, K]`, probabilities of the network's classes."""


def metric_name(metric: str, net: FeatureNet) -> str:
    """`metric` with the network in its name: "FID[project_cnn:mnist@abc123]"."""
    return f"{metric}[{net.name}@{net.weights_sha256[:6]}]"


def weights_sha256(params: Any) -> str:
    """Hex digest over the names, shapes and bytes of all parameters."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)}{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
