"""Near-duplicates, found by equal binary codes (semantic hashing).

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 4.1.1: images with equal thresholded
codes are taken for duplicates; finding them is linear in their number. The paper's codes come from
a small autoencoder, `code_autoencoder`.
"""

from __future__ import annotations

import numpy as np


def threshold(activations: np.ndarray) -> np.ndarray:
    """Binary codes `[N, d]` of ReLU activations `[N, d]`: on or off."""
    return activations > 0


def first_of_each(codes: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the rows of `codes` `[N, d]` bool whose code has not come before."""
    packed = np.packbits(codes, axis=1)
    _, first = np.unique(packed, axis=0, return_index=True)
    return np.sort(first)
