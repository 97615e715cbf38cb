"""Words are chosen and hidden as often as is said, and special tokens never."""

import numpy as np
import pytest

from research.data.text.masked_words import Masking, asked, masked_row, next_word_row

SPECIAL = (0, 1, 2, 3, 4)
MASKING = Masking(vocab_size=1000, mask=4, special=SPECIAL)


def sentence(length, rng):
    ids = rng.integers(5, 1000, length)
    ids[0], ids[-1], ids[length // 2] = 2, 3, 3
    return ids


def test_shares_over_many_tokens():
    """15 % are chosen; of these 80 % are masked, 10 % random, 10 % as they were."""
    rng = np.random.default_rng(0)
    chosen = masked = kept = ordinary = strange = 0
    for _ in range(4000):
        tokens = sentence(int(rng.integers(8, 60)), rng)
        row = masked_row(tokens, MASKING, 20, rng)
        places = row["positions"][row["weights"] > 0]
        ordinary += len(tokens) - 3
        chosen += len(places)
        masked += np.sum(row["tokens"][places] == 4)
        kept += np.sum(row["tokens"][places] == tokens[places])
        strange += np.sum(np.isin(row["tokens"][places], SPECIAL[:4]))
        untouched = np.setdiff1d(np.arange(len(tokens)), places)
        np.testing.assert_array_equal(row["tokens"][untouched], tokens[untouched])
        np.testing.assert_array_equal(row["targets"][row["weights"] > 0], tokens[places])
        assert not np.isin(tokens[places], SPECIAL).any() and len(set(places)) == len(places)
    assert strange == 0
    assert chosen / ordinary == pytest.approx(0.15, abs=0.003)
    assert masked / chosen == pytest.approx(0.8, abs=0.01)
    assert kept / chosen == pytest.approx(0.1, abs=0.01)


def test_all_that_is_chosen_can_be_masked():
    always = Masking(1000, 4, SPECIAL, masked_share=1.0, random_share=0.0)
    rng = np.random.default_rng(0)
    tokens = sentence(50, rng)
    row = masked_row(tokens, always, 20, rng)
    assert np.all(row["tokens"][row["positions"][row["weights"] > 0]] == 4)


def test_there_is_one_at_least_and_never_more_than_fit():
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert len(MASKING.choose(np.array([2, 9, 3]), 5, rng)) == 1
        assert len(MASKING.choose(np.arange(5, 105), 4, rng)) == 4
    assert len(MASKING.choose(np.array([2, 3]), 5, rng)) == 0


def test_predictions_have_one_size():
    row = asked(np.array([3, 7]), np.array([30, 70]), 4)
    assert {name: value.tolist() for name, value in row.items()} == {
        "positions": [3, 7, 0, 0],
        "targets": [30, 70, 0, 0],
        "weights": [1, 1, 0, 0],
    }


def test_the_left_side_is_asked_for_every_word_that_follows():
    row = next_word_row(np.array([2, 8, 9, 3, 7, 3]), MASKING, 4)
    assert row["positions"].tolist() == [0, 1, 3, 0] and row["targets"].tolist() == [8, 9, 7, 0]
    assert row["weights"].tolist() == [1, 1, 1, 0] and row["tokens"].tolist() == [2, 8, 9, 3, 7, 3]
