"""Which feature maps of a generator draw a concept.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 6.3.2 (the maps that draw windows).
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression


def on_map(inside: np.ndarray, side: int) -> np.ndarray:
    """Boxes at image size `[N, S, S]` bool as cells of a map `[N, side, side]`: half inside."""
    num, size, _ = inside.shape
    step = size // side
    return inside.reshape(num, side, step, side, step).mean((2, 4)) >= 0.5


def concept_weights(maps: np.ndarray, inside: np.ndarray, seed: int) -> np.ndarray:
    """How much each feature map speaks for a concept: weights of a logistic regression.

    The regression tells the map's positions inside boxes drawn around the concept from as many
    random positions outside them in the same images. Maps of positive weight draw the concept.

    Args:
      maps: activations `[N, H, W, C]`.
      inside: `[N, H, W]` bool, positions in a box.
      seed: of the draw of negatives.

    Returns:
      `[C]`, in units of the maps' standard deviations.

    Raises:
      ValueError: no position, or every position, is inside a box.
    """
    boxed = inside.reshape(len(inside), -1).any(1)
    positive = maps[inside]
    negative = maps[np.expand_dims(boxed, (1, 2)) & ~inside]
    if not len(positive) or not len(negative):
        raise ValueError("the boxes must hold some, and not all, positions of the maps")
    rng = np.random.default_rng(seed)
    negative = negative[rng.permutation(len(negative))[: len(positive)]]
    x = np.concatenate([positive, negative]).astype(np.float64)
    x /= x.std(0) + 1e-8
    labels = np.arange(len(x)) < len(positive)
    return LogisticRegression(max_iter=1000).fit(x, labels).coef_[0]
