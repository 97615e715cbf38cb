"""Packed rows reproduce the text, batches are a function of their number, mixtures keep shares."""

import collections

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.text.batch_ramp import BatchRamp
from research.data.text.packing import Documents, MixedRows, PackedRows, TokenBatches

END = 99


def documents(sizes=(5, 1, 12, 7, 30, 3)):
    """Documents whose tokens say where they come from: 100 * document + place."""
    return Documents.of(
        [100 * (i + 1) + np.arange(size) for i, size in enumerate(sizes)], END, "toy"
    )


def test_documents_end_with_the_end_of_text():
    d = documents()
    assert np.sum(d.tokens == END) == 6
    assert all(d.tokens[end - 1] == END for end in d.ends)


def test_rows_of_an_epoch_are_the_text():
    """Put back in order, the rows are one text that holds every document whole."""
    packed = PackedRows(documents(), 6, seed=0)
    packed[0]
    rows = [packed[i] for i in np.argsort(packed._rows)]
    for row, after in zip(rows, rows[1:], strict=False):
        assert row[-1] == after[0], "a row ends with what the next begins with"
    text = np.concatenate([rows[0], *(row[1:] for row in rows[1:])])
    expected = np.concatenate(
        [
            documents().tokens[documents().ends[i - 1] if i else 0 : documents().ends[i]]
            for i in packed._order
        ]
    )
    start = packed._offset
    assert np.array_equal(text, expected[start : start + len(text)])
    assert len(expected) - len(text) < 2 * 6


def test_every_target_comes_once_in_an_epoch():
    packed = PackedRows(documents(), 6, seed=1)
    targets = np.concatenate([packed[i][1:] for i in range(packed.per_epoch)])
    counted = collections.Counter(targets[targets != END].tolist())
    assert set(counted.values()) == {1}


def test_epochs_differ_and_rows_are_random_access():
    packed, again = (PackedRows(documents(), 6, seed=2) for _ in range(2))
    count = packed.per_epoch
    forward = [packed[i].tolist() for i in range(3 * count)]
    backward = [again[i].tolist() for i in reversed(range(3 * count))][::-1]
    assert forward == backward
    assert forward[:count] != forward[count : 2 * count]
    assert PackedRows(documents(), 6, seed=3)[0].tolist() != forward[0]


def test_one_document_and_too_few_tokens():
    packed = PackedRows(documents((40,)), 8, seed=0)
    assert all(len(packed[i]) == 9 for i in range(9))
    with pytest.raises(UserError, match="too few"):
        PackedRows(documents((3,)), 8, seed=0)


def test_mixture_keeps_its_shares_and_every_row():
    sets = [PackedRows(documents((200 + i,)), 4, seed=i) for i in range(3)]
    mixed = MixedRows(sets, (0.6, 0.3, 0.1), seed=0)
    rows = [mixed[i].tolist() for i in range(2000)]
    for which, quota in enumerate((600, 300, 100)):
        own = [sets[which][i].tolist() for i in range(2 * quota)]
        taken = collections.Counter(map(tuple, own))
        assert not taken - collections.Counter(map(tuple, rows))
    assert [mixed[i].tolist() for i in (1500, 3)] == [rows[1500], rows[3]]
    assert "0.6 of toy" in mixed.origin


def batches(levels=((2, 3), (4, 5))):
    return TokenBatches(lambda: PackedRows(documents(), 6, seed=0), BatchRamp(levels, 6))


def test_batches_follow_the_ramp_and_resume():
    source = batches()
    assert source.spec["tokens"].shape == (4, 7)
    seen = [source(None)["tokens"] for _ in range(6)]
    assert [len(batch) for batch in seen] == [2, 2, 2, 4, 4, 4]
    assert source.row_counts == [2, 4]
    rows = PackedRows(documents(), 6, seed=0)
    assert np.array_equal(np.concatenate(seen), [rows[i] for i in range(18)])
    other = batches()
    other.set_state({"step": 4})
    assert np.array_equal(other(None)["tokens"], seen[4])
    assert other.get_state() == {"step": 5}


def test_processes_share_a_batch(monkeypatch):
    whole = [batches()(None)["tokens"]]
    monkeypatch.setattr("jax.process_count", lambda: 2)
    parts = []
    for index in range(2):
        monkeypatch.setattr("jax.process_index", lambda index=index: index)
        parts.append(batches()(None)["tokens"])
    assert np.array_equal(np.concatenate(parts), whole[0])
