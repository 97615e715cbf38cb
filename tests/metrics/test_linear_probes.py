"""The linear probe reads what is linear, and its few labels are balanced."""

import numpy as np
import pytest

from research.metrics import linear_probes


def test_draw_is_balanced_without_repeats_and_seeded():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 40))
    index = linear_probes.balanced_draw(labels, 20, seed=1)
    assert len(set(index)) == 20
    np.testing.assert_array_equal(np.bincount(labels[index]), 4)
    np.testing.assert_array_equal(index, linear_probes.balanced_draw(labels, 20, seed=1))
    assert set(index) != set(linear_probes.balanced_draw(labels, 20, seed=2))
    with pytest.raises(ValueError, match="do not divide"):
        linear_probes.balanced_draw(labels, 21, seed=1)


def test_svm_learns_linear_classes_and_not_noise():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    signal = np.eye(3)[labels] * 1000 + rng.normal(0, 100, (400, 3))  # scale must not matter
    assert linear_probes.svm_accuracy(signal[:60], labels[:60], signal[60:], labels[60:]) > 0.95
    noise = rng.normal(size=(400, 3))
    assert linear_probes.svm_accuracy(noise[:60], labels[:60], noise[60:], labels[60:]) < 0.5
