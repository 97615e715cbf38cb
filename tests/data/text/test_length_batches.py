"""Batches by length: every row whole and once, few shapes, the same for any number of processes."""

import jax
import numpy as np
import pytest

from research.core.errors import UserError
from research.data.text.length_batches import LengthBatches, map_rows, padded, row_lengths


def made(count=50, longest=12, seed=0):
    """Rows whose first token is their number from 1."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, longest + 1, count)
    return [
        {"tokens": np.array([i + 1] + [7] * (size - 1)), "label": i % 2}
        for i, size in enumerate(sizes)
    ]


def source(rows=None, lengths=(4, 8, 12), batch_size=4, count=3, seed=0):
    rows = made() if rows is None else rows
    opened = lambda: (rows, "made here")  # noqa: E731
    return LengthBatches(opened, ("tokens",), ("label",), lengths, batch_size, count, seed)


def test_padded_rows():
    rows = [{"tokens": np.array([5, 6]), "label": 1}, {"tokens": np.array([7]), "label": 0}]
    found = padded(rows, 3)
    assert found["tokens"].tolist() == [[5, 6, 0], [7, 0, 0]]
    assert found["label"].tolist() == [1, 0] and found["length"].tolist() == [2, 1]
    assert {x.dtype for x in found.values()} == {np.dtype(np.int32)}


def test_an_epoch_has_every_row_once_and_whole():
    rows, batches = made(48), source(made(48))
    seen = [batches(None) for _ in range(12)]
    numbers = np.concatenate([batch["tokens"][:, 0] for batch in seen])
    assert sorted(numbers) == list(range(1, 49))
    for batch in seen:
        parts = batch["tokens"], batch["length"], batch["label"]
        for tokens, length, label in zip(*parts, strict=True):
            row = rows[tokens[0] - 1]
            assert np.array_equal(tokens[:length], row["tokens"]) and not tokens[length:].any()
            assert label == row["label"]
        size = batch["tokens"].shape[1]
        assert size == next(n for n in (4, 8, 12) if n >= batch["length"].max())
    again = np.concatenate([batches(None)["tokens"][:, 0] for _ in range(12)])
    assert sorted(again) == sorted(numbers) and not np.array_equal(again, numbers)


def test_rows_of_one_batch_are_of_about_the_same_length():
    def spread(count):
        batches = source(made(400), batch_size=10, count=count)
        return np.mean([np.ptp(batches(None)["length"]) for _ in range(40)])

    assert spread(40) < 1 < 5 < spread(1)


def test_the_order_of_batches_is_not_that_of_lengths():
    batches = source(made(400), batch_size=10, count=40)
    longest = [batches(None)["length"].max() for _ in range(40)]
    assert sorted(longest) != longest


def test_a_source_that_is_set_to_a_place_goes_on_from_there():
    first, other = source(), source()
    for _ in range(17):  # beyond the first epoch, of 12 batches
        first(None)
    other.set_state(first.get_state())
    for _ in range(9):
        a, b = first(None), other(None)
        assert all(np.array_equal(a[name], b[name]) for name in a)


def test_processes_share_a_batch(monkeypatch):
    whole = [source()(None)]
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    halves = []
    for index in range(2):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        halves.append(source()(None))
    for name, value in whole[0].items():
        assert np.array_equal(np.concatenate([half[name] for half in halves]), value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [(made(3), "3 texts fill no batch of 4"), (made(9, longest=40), "raise the last of")],
)
def test_what_does_not_fit_is_refused(rows, words):
    with pytest.raises(UserError, match=words):
        source(rows).open()


def test_a_function_sees_all_rows_whole_and_gives_them_in_order():
    """Those that are longer than the last length too."""
    rows = [*made(20), {"tokens": np.arange(1, 31), "label": 0}, *made(5)]
    shapes = []

    @jax.jit
    def total(scale, batch):
        shapes.append(batch["tokens"].shape)
        return scale * batch["tokens"].sum(1), batch["length"]

    sums, sizes = map_rows(total, np.float32(2), rows, (4, 8, 12), 6)
    assert np.array_equal(sums, [2 * row["tokens"].sum() for row in rows])
    assert np.array_equal(sizes, row_lengths(rows))
    assert {shape[1] for shape in shapes} == {4, 8, 12, 48}
    assert len(shapes) == 4, "compiled once for each length"
