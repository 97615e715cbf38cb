"""LPIPS: how different two images look to a network (Zhang et al. 2018, arXiv:1801.03924).

Version 0.1. With any but the published network and weights it is the form of LPIPS, and a number is
not comparable with published ones: `PerceptualDistance.kind` says which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.data.batches import in_batches
from research.metrics.features import weights_sha256

# Version 0.0 had no such layer; it is ImageNet's normalization, for images in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

Taps = Sequence[jax.Array]


def scaled(images: jax.Array) -> jax.Array:
    """The scaling layer: images `[..., 3]` in [-1, 1] as the networks of ImageNet take them."""
    return (images - jnp.array(SHIFT)) / jnp.array(SCALE)


def unit_normalized(x: jax.Array, eps: float = 1e-10) -> jax.Array:
    """Maps `[..., C]` with vectors of length 1 along channels."""
    return x / (jnp.sqrt((x**2).sum(-1, keepdims=True)) + eps)


def tap_distance(x: Taps, y: Taps, weights: Sequence[jax.Array]) -> jax.Array:
    """Distance `[N]` of images by what a network's layers make of them (equation 1).

    Args:
      x, y: a map `[N, H, W, C]` of each tapped layer.
      weights: `[C]` of each, 0 or more: the 1x1 convolution without bias.
    """
    differences = [
        ((unit_normalized(a) - unit_normalized(b)) ** 2 @ jnp.maximum(w, 0)).mean((1, 2))
        for a, b, w in zip(x, y, weights, strict=True)
    ]
    return jnp.sum(jnp.stack(differences), axis=0)


class PerceptualDistance:
    """Distances of pairs of images through one network.

    Attributes:
      kind: "LPIPS" of the published networks and weights, "pLPIPS" of the project's.
      name, weights_sha256: as of a `FeatureNet`.

    Args:
      kind, name: see above.
      variables: of the network.
      taps: `(variables, images [B, H, W, C] in [-1, 1]) -> maps`, jittable.
      weights: of `tap_distance`; None weighs all channels of all maps by 1.
      batch_size: pairs at a time.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        variables: Any,
        taps: Callable[[Any, jax.Array], Taps],
        weights: Sequence[Any] | None = None,
        batch_size: int = 50,
    ):
        self.kind, self.name = kind, name
        self.weights_sha256 = weights_sha256(variables if weights is None else (variables, weights))
        self._variables, self._batch_size = variables, batch_size

        @jax.jit
        def distance(variables: Any, pairs: jax.Array) -> jax.Array:
            x, y = (taps(variables, pairs[:, i]) for i in range(2))
            channels = weights or [jnp.ones(m.shape[-1]) for m in x]
            return tap_distance(x, y, [jnp.asarray(w) for w in channels])

        self._distance = distance

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distances `[N]` of images x to y, `[N, H, W, C]` each, in [-1, 1]."""
        pairs = np.stack([x, y], axis=1)
        return in_batches(
            lambda part: self._distance(self._variables, part), pairs, self._batch_size
        )


def diversity(images: np.ndarray, distance: PerceptualDistance, *, seed: int = 0) -> float:
    """Mean distance of images `[N, H, W, C]` in random pairs; 0 where all look alike."""
    order = np.random.default_rng(seed).permutation(len(images))
    half = len(images) // 2
    return float(distance(images[order[:half]], images[order[half : 2 * half]]).mean())
