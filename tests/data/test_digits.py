"""`proc_digits`: moved as it says, no digit in both splits, the same every time."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from research.core.errors import UserError
from research.data.procedural import digits


def test_classes_are_balanced_and_images_repeat():
    found, again = (digits.generate(100, "test") for _ in range(2))
    assert found["image"].shape == (100, 16, 16, 1) and found["image"].dtype == np.uint8
    np.testing.assert_array_equal(found["image"], again["image"])
    np.testing.assert_array_equal(np.bincount(found["label"]), 10)
    assert len(digits.load("train[:30]", 8)) == 30
    with pytest.raises(UserError, match="split of proc_digits"):
        digits.load("validation", 8)


def test_a_digit_that_is_not_moved_is_the_digit():
    image = load_digits().images[:1] / 16
    zero = np.zeros(1)
    np.testing.assert_allclose(digits._moved(image, 8, zero, zero + 1, zero, zero), image)
    down = digits._moved(image, 8, zero, zero + 1, zero + 1, zero)
    np.testing.assert_allclose(down[:, 1:], image[:, :-1])
    right = digits._moved(image, 8, zero, zero + 1, zero, zero + 1)
    np.testing.assert_allclose(right[:, :, 1:], image[:, :, :-1])
    # A quarter of a turn, whatever the direction, is NumPy's.
    turned = digits._moved(image, 8, zero + np.pi / 2, zero + 1, zero, zero)
    rotations = [np.rot90(image[0], k) for k in (1, 3)]
    assert min(np.abs(turned[0] - r).max() for r in rotations) < 1e-9
    large = digits._moved(np.pad(image, ((0, 0), (4, 4), (4, 4))), 16, zero, zero + 2, zero, zero)
    assert large.sum() > 3.5 * image.sum()


def test_no_digit_is_in_both_splits(monkeypatch):
    def still(images, size, *moves):
        return images

    monkeypatch.setattr(digits, "_moved", still)
    train, test = (
        {image.tobytes() for image in digits.generate(2000, split, 8)["image"]}
        for split in ("train", "test")
    )
    assert train and test and not train & test
