"""Whitening: pixels of a data set without correlation, and each with a variance of one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

_FILE = "whitening.npz"


class Whitening(NamedTuple):
    """x -> (x - mean) W, which changes an image as little as can be (ZCA).

    Source: Krizhevsky 2009, Learning multiple layers of features from tiny images, appendix A.

    Attributes:
      mean: `[D]` float32, of the training images.
      matrix: W `[D, D]` float32, symmetric: (covariance + regularization I)^(-1/2).
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, images: np.ndarray, regularization: float) -> Whitening:
        """Of images `[N, ...]`, flattened.

        Args:
          images: the training images.
          regularization: added to all variances, so that directions in which images hardly differ
            are not blown up; above 0 where there are fewer images than pixels.
        """
        x = images.reshape(len(images), -1).astype(np.float64)
        mean = x.mean(0)
        variances, axes = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        scales = 1 / np.sqrt(np.maximum(variances, 0) + regularization)
        return cls(mean.astype(np.float32), ((axes * scales) @ axes.T).astype(np.float32))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Whitens images `[N, ...]`, float32 of the same shape."""
        flat = images.reshape(len(images), -1).astype(np.float32)
        return ((flat - self.mean) @ self.matrix).reshape(images.shape)

    def to_files(self) -> dict[str, bytes]:
        """What a run keeps of it."""
        file = io.BytesIO()
        np.savez(file, mean=self.mean, matrix=self.matrix)
        return {_FILE: file.getvalue()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Whitening:
        """As a run has kept it."""
        kept = np.load(io.BytesIO(files[_FILE]))
        return cls(kept["mean"], kept["matrix"])
