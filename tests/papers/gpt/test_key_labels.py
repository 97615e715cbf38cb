"""Key-label documents can be solved from the second time on, and not before."""

import numpy as np

from research.papers.gpt.key_labels import KeyLabels

TASK = KeyLabels(keys=8, labels=4, pairs=24, seed=0)


def rows(count=200):
    return np.stack([TASK[i] for i in range(count)])


def test_shape_and_alphabet():
    assert rows().shape == (200, 49) and TASK.vocab_size == 13
    assert np.all(rows()[:, 0] == 12)
    assert np.all(rows()[:, 1::2] < 8)
    assert np.all((rows()[:, 2::2] >= 8) & (rows()[:, 2::2] < 12))


def test_a_key_keeps_its_label_within_a_document_only():
    maps = []
    for row in rows():
        pairs = set(zip(row[1::2].tolist(), row[2::2].tolist(), strict=True))
        assert len(pairs) == len({key for key, _ in pairs})
        maps.append(frozenset(pairs))
    assert len(set(maps)) > 190


def test_labels_are_uniform():
    share = np.bincount(rows(2000)[:, 2] - 8, minlength=4) / 2000
    np.testing.assert_allclose(share, 0.25, atol=0.04)


def test_earlier_counts_by_hand():
    row = np.array([[12, 3, 8, 1, 9, 3, 8, 3, 8]])
    assert TASK.earlier(row).tolist() == [[0, 0, 1, 2]]


def test_documents_depend_on_seed_and_number():
    assert np.array_equal(TASK[3], TASK[3]) and not np.array_equal(TASK[3], TASK[4])
    assert not np.array_equal(TASK[3], KeyLabels(8, 4, 24, 1)[3])


def test_names_and_back():
    assert TASK.names(np.array([0, 8, 7, 11])) == "a0h3"
    assert TASK.encode("a0h3").tolist() == [0, 8, 7, 11]
