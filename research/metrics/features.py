"""The network that a sample metric sees through."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import jax
import numpy as np

from research.data.batches import in_batches


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


class NetworkFeatures:
    """A `FeatureNet` of any network.

    Args:
      name: see `FeatureNet`.
      variables: of the network.
      forward: `(variables, images [B, H, W, C] in [-1, 1]) -> (logits [B, K], features [B, d])`.
      batch_size: images at a time.
    """

    def __init__(
        self,
        name: str,
        variables: Any,
        forward: Callable[[Any, jax.Array], tuple[jax.Array, jax.Array]],
        batch_size: int = 250,
    ):
        self.name = name
        self.weights_sha256 = weights_sha256(variables)
        self._variables, self._batch_size = variables, batch_size

        @jax.jit
        def probs_and_features(variables: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
            logits, features = forward(variables, images)
            return jax.nn.softmax(logits), features

        self._forward = probs_and_features

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities `[N, K]` and features `[N, d]` of images `[N, H, W, C]` in [-1, 1]."""
        return in_batches(
            lambda part: self._forward(self._variables, part), images, self._batch_size
        )

    def features(self, images: np.ndarray) -> np.ndarray:
        return self(images)[1]

    def probs(self, images: np.ndarray) -> np.ndarray:
        return self(images)[0]


class Named(Protocol):
    """What a metric is named after: a network's `name` and the hash of its weights."""

    name: str
    weights_sha256: str


def metric_name(metric: str, net: Named) -> str:
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
