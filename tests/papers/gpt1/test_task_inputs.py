"""Tasks become the sequences of the paper's figure 1."""

import numpy as np
import pytest

from research.core.errors import UserError
from research.papers.gpt1.task_inputs import Marks

A, B, C = (np.array(x, np.int32) for x in ([1, 2, 3], [4, 5], [6]))
MARKS = Marks.after(10, 12)
S, D, E = 10, 11, 12


def lists(sequences):
    return [sequence.tolist() for sequence in sequences]


def test_the_four_forms():
    assert lists(MARKS.classification(A)) == [[S, 1, 2, 3, E]]
    assert lists(MARKS.entailment(A, B)) == [[S, 1, 2, 3, D, 4, 5, E]]
    assert lists(MARKS.similarity(A, B)) == [[S, 1, 2, 3, D, 4, 5, E], [S, 4, 5, D, 1, 2, 3, E]]
    assert lists(MARKS.multiple_choice(A, [B, C])) == [
        [S, 1, 2, 3, D, 4, 5, E],
        [S, 1, 2, 3, D, 6, E],
    ]


def test_long_contexts_lose_their_beginning():
    (cut,) = MARKS.entailment(np.arange(20) % 10, B)
    assert len(cut) == 12 and cut.tolist()[-5:] == [9, D, 4, 5, E] and cut[0] == S
    with pytest.raises(UserError, match="no room"):
        MARKS.entailment(A, np.arange(12))


def test_padding_and_last_places():
    tokens, last = MARKS.padded(MARKS.multiple_choice(A, [B, C]))
    assert tokens.shape == (2, 12) and last.tolist() == [7, 6]
    assert np.all(tokens[np.arange(2), last] == E)
