"""Batches out of arrays: every row once an epoch, any process its part, resumed exactly."""

import jax
import numpy as np
import pytest

from research.core import UserError
from research.data.in_memory import ArrayBatches

ROW = {"x": jax.ShapeDtypeStruct((2,), np.float32), "i": jax.ShapeDtypeStruct((), np.int32)}


def arrays(size=10):
    return {"x": np.arange(2.0 * size).reshape(size, 2), "i": np.arange(size)}, "made here"


def source(batch_size=4, seed=0, process=None, size=10):
    return ArrayBatches(lambda: arrays(size), ROW, batch_size, seed, process)


def indices(stream, batches):
    return np.concatenate([stream(None)["i"] for _ in range(batches)])


def test_epochs_are_permutations_without_a_gap():
    stream = source()
    found = indices(stream, 10)  # 40 rows: four epochs
    for epoch in range(4):
        assert sorted(found[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert not np.array_equal(found[:10], found[10:20])
    assert stream.origin == "made here"


def test_rows_go_together_and_are_as_the_spec_says():
    stream = source()
    batch = stream(None)
    np.testing.assert_array_equal(batch["x"][:, 0], 2 * batch["i"])
    for name, spec in stream.spec.items():
        assert batch[name].shape == spec.shape and batch[name].dtype == spec.dtype


def test_the_seed_decides():
    assert np.array_equal(indices(source(), 5), indices(source(), 5))
    assert not np.array_equal(indices(source(), 5), indices(source(seed=1), 5))


def test_a_batch_larger_than_the_data():
    found = indices(source(batch_size=24), 5)
    assert sorted(found[100:110]) == list(range(10))


def test_processes_share_a_batch():
    parts = [source(process=(i, 2)) for i in range(2)]
    both = [np.concatenate([part(None)["i"] for part in parts]) for _ in range(6)]
    np.testing.assert_array_equal(np.concatenate(both), indices(source(), 6))


def test_resumes_where_it_was():
    stream = source()
    indices(stream, 3)
    position = stream.get_state()
    expected = indices(stream, 4)
    again = source()
    again.set_state(position)
    np.testing.assert_array_equal(indices(again, 4), expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"process": (0, 3)}, "does not divide over 3"),
        ({"size": 0}, "is empty"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(UserError, match=words):
        source(**options).open()


def test_rows_of_another_shape_are_refused():
    stream = ArrayBatches(
        lambda: ({"x": np.zeros((3, 5)), "i": np.zeros(3)}, "made here"), ROW, 2, 0
    )
    with pytest.raises(UserError, match=r"x has rows \[5\].*built for \[2\]"):
        stream.open()
