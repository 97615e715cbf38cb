"""Windows count every token once, with the context that the stride promises."""

import numpy as np
import pytest

from research.metrics.perplexity import mean_loss, per_unit, windows


@pytest.mark.parametrize("stride", [1, 3, 8])
@pytest.mark.parametrize("count", [2, 8, 9, 10, 41])
def test_every_token_but_the_first_counts_once(count, stride):
    tokens = np.arange(1, count + 1)
    counted = []
    rows, weights = windows(tokens, 8, stride)
    assert rows.shape[1:] == (9,) and weights.shape == (len(rows), 8)
    for row, weight in zip(rows, weights, strict=True):
        places = np.flatnonzero(weight)
        counted += row[1:][places].tolist()
        if len(places) and row[0] != 1:
            assert places[0] >= 8 - stride, "too little before it"
    assert counted == tokens[1:].tolist()


def test_mean_loss_is_over_tokens():
    tokens = np.arange(10, 31)
    assert mean_loss(lambda rows: rows[:, 1:], tokens, 8, 5) == np.mean(tokens[1:])


def test_a_stride_that_leaves_tokens_out_is_refused():
    with pytest.raises(ValueError, match="leaves out"):
        windows(np.arange(10), 4, 5)


def test_units():
    assert per_unit(2.0, tokens=100, units=400) == 0.5
