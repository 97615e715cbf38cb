"""Linear gain against a loop."""

import numpy as np

from research.losses.linear_gain import linear_gain


def test_weights_grow_from_zero_to_one_over_each_text():
    rng = np.random.default_rng(0)
    losses, lengths = rng.random((4, 6)).astype(np.float32), np.array([6, 1, 2, 4])
    found = linear_gain(losses, lengths)
    for row, length, value in zip(losses, lengths, found, strict=True):
        weights = [t / (length - 1) for t in range(length)] if length > 1 else [1.0]
        assert weights[-1] == 1.0
        total = sum(w * loss for w, loss in zip(weights, row, strict=False))
        np.testing.assert_allclose(value, total / sum(weights), rtol=1e-5)


def test_padding_counts_nothing():
    losses, lengths = np.ones((2, 5), np.float32), np.array([3, 2])
    losses[0, 3:] = losses[1, 2:] = 1e6
    np.testing.assert_allclose(linear_gain(losses, lengths), 1.0, rtol=1e-6)
