"""Equal codes are duplicates; the first of each stays."""

import numpy as np

from research.papers.dcgan import deduplicate


def test_first_of_each_code_stays_in_order():
    codes = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1], [1, 1, 1]], bool)
    np.testing.assert_array_equal(deduplicate.first_of_each(codes), [0, 1, 4])


def test_codes_longer_than_a_byte_are_compared_whole():
    codes = np.zeros((3, 128), bool)
    codes[1, 127] = codes[2, 0] = True
    assert len(deduplicate.first_of_each(codes)) == 3


def test_threshold_is_the_sign_of_the_rectifier():
    np.testing.assert_array_equal(
        deduplicate.threshold(np.array([0, 1e-9, 3])), [False, True, True]
    )
