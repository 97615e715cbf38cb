"""Linear separability: can attributes of images be told from latents by a plane?

Source: Karras, Laine, Aila 2018, arXiv:1812.04948, section 4.2.
"""

from __future__ import annotations

import numpy as np
from sklearn.svm import LinearSVC


def linear_separability(
    latents: np.ndarray, probs: np.ndarray, *, keep: float = 0.5, seed: int = 0
) -> float:
    """2 to the sum of H(Y_i | X_i): 1 where planes tell all attributes, 2^A where they tell none.

    Y_i is what a classifier of attribute i says of an image, X_i the side of a linear SVM's plane
    that its latent is on. Published numbers are of 200,000 samples and 40 attributes.

    Args:
      latents: `[N, Z]`.
      probs: `[N, A]`, of binary attributes, that the images made of the latents have them.
      keep: share of the samples that a classifier is surest of, which are looked at.
      seed: of the SVM.
    """
    num = int(keep * len(latents))
    total = 0.0
    for prob in probs.T:
        surest = np.argsort(-np.abs(prob - 0.5), kind="stable")[:num]
        x, y = latents[surest], prob[surest] > 0.5
        if y.all() or not y.any():  # nothing is to be told
            continue
        total += conditional_entropy(y, LinearSVC(random_state=seed).fit(x, y).predict(x))
    return float(2**total)


def conditional_entropy(y: np.ndarray, x: np.ndarray) -> float:
    """H(Y|X) in bits of binary observations y and x, `[N]` each."""
    entropy = 0.0
    for side in (False, True):
        for label in (False, True):
            both = np.mean((x == side) & (y == label))
            if both > 0:
                entropy -= both * np.log2(both / np.mean(x == side))
    return float(entropy)
