"""The stream of batches is a function of the seed, whatever the processes, threads and restarts."""

import json
import threading
import time

import jax
import numpy as np
import pytest

from research.core import UserError
from research.data import pipeline
from research.data.dataset import Dataset

SIZE, BATCH = 25, 8  # three batches an epoch and one row: batches cross the ends of epochs
VALUES = {"x": np.arange(SIZE), "y": 10.0 * np.arange(SIZE)}
SPEC = {"x": jax.ShapeDtypeStruct((), np.int32), "noise": jax.ShapeDtypeStruct((2,), np.float64)}


def add_noise(element, rng):
    return {**element, "noise": rng.random(2)}


def make(process=(0, 1), seed=0, shuffle=True, batch_size=BATCH):
    source = pipeline.arrays(VALUES, batch_size, seed, add_noise, SPEC, shuffle)
    source.process = process
    return source


def take(source, count):
    return [source(None) for _ in range(count)]


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_spec_is_known_before_the_data_is_opened():
    def fail():
        raise UserError("no such data")

    source = pipeline.stream(fail, SPEC, BATCH, seed=0)
    assert source.spec["x"].shape == (BATCH,)
    assert source.spec["noise"].shape == (BATCH, 2)
    with pytest.raises(UserError, match="no such data"):
        source.open()


def test_batches_are_as_the_spec_says():
    source = make()
    jax.tree.map(
        lambda s, a: (s.shape, s.dtype) == (a.shape, a.dtype) or pytest.fail(),
        source.spec,
        source(None),
    )
    assert set(source(None)) == {"x", "noise"}  # what the spec does not name is dropped


def test_every_epoch_holds_every_element_once_in_a_new_order():
    rows = np.concatenate([batch["x"] for batch in take(make(), 10)])
    epochs = rows[: 3 * SIZE].reshape(3, SIZE)
    for epoch in epochs:
        assert sorted(epoch) == list(range(SIZE))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], np.arange(SIZE))


def test_without_shuffle_the_order_is_that_of_the_data():
    rows = np.concatenate([batch["x"] for batch in take(make(shuffle=False), 5)])
    assert_equal(rows, np.arange(5 * BATCH) % SIZE)


def test_seed_decides_order_and_noise():
    assert_equal(take(make(), 5), take(make(), 5))
    first, other = make()(None), make(seed=1)(None)
    assert not np.array_equal(first["x"], other["x"])
    assert not np.isin(first["noise"], other["noise"]).any()


def test_noise_is_new_for_every_element_and_epoch():
    noise = np.concatenate([batch["noise"] for batch in take(make(), 10)])
    assert len(np.unique(noise)) == noise.size


@pytest.mark.parametrize("processes", [2, 4, 8])
def test_number_of_processes_changes_nothing(processes):
    together = take(make(), 9)
    parts = [take(make((index, processes)), 9) for index in range(processes)]
    joined = [
        jax.tree.map(lambda *rows: np.concatenate(rows), *step) for step in zip(*parts, strict=True)
    ]
    assert_equal(joined, together)


def test_state_is_exact_with_batches_read_ahead():
    source = make()
    take(source, 5)
    state = json.loads(json.dumps(source.get_state()))
    rest = take(source, 6)
    resumed = make()
    resumed.set_state(state)
    assert_equal(take(resumed, 6), rest)
    source.set_state(state)  # back in the same process, as after an evaluation that restores
    assert_equal(take(source, 6), rest)


def test_resume_under_another_number_of_processes():
    whole = take(make(), 8)
    before = make((1, 4))
    take(before, 3)
    for index in range(2):
        after = make((index, 2))
        after.set_state(before.get_state())
        expected = [
            jax.tree.map(lambda a, i=index: np.split(a, 2)[i], batch) for batch in whole[3:]
        ]
        assert_equal(take(after, 5), expected)


def test_set_state_ends_the_threads_that_read_ahead():
    def readers():
        return sum("grain" in thread.name for thread in threading.enumerate())

    before = readers()
    source = make()
    for step in range(20):
        source(None)
        source.set_state({"next_batch": step})
    deadline = time.monotonic() + 30  # a thread that was told to end needs a moment
    while readers() > before + pipeline.READ_THREADS and time.monotonic() < deadline:
        time.sleep(0.05)
    assert readers() <= before + pipeline.READ_THREADS


def test_batch_must_divide_over_processes():
    with pytest.raises(UserError, match="8 rows does not divide over 3 processes"):
        make((0, 3)).open()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": np.arange(4), "noise": np.zeros((4, 3))}, r"float64\[3\]"),  # shape
        ({"x": np.arange(4), "noise": np.zeros((4, 2), np.float32)}, r"float32\[2\]"),
        ({"x": np.arange(4)}, "built for"),  # a feature is missing
        ({"x": np.zeros(0), "noise": np.zeros((0, 2))}, "empty"),
    ],
)
def test_data_that_is_not_as_the_spec_says(values, message):
    with pytest.raises(UserError, match=message):
        pipeline.arrays(values, 2, 0, spec=SPEC).open()


def test_error_of_a_record_reaches_the_caller():
    class Damaged:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            if index == 0:  # the one that `open` looks at
                return {"x": 0}
            raise UserError(f"record {index} is damaged")

    spec = {"x": jax.ShapeDtypeStruct((), np.int32)}
    source = pipeline.stream(Damaged, spec, 4, seed=0)
    source.open()
    with pytest.raises(UserError, match="is damaged"):
        source(None)


def test_steps_of_an_epoch_whose_last_batch_is_not_full():
    steps = {r: pipeline.steps_of(1, 1437, 100, r) for r in ("down", "nearest", "up")}
    assert steps == {"down": 14, "nearest": 14, "up": 15}
    assert pipeline.steps_of(90, 1_281_167, 8192, "up") == 14_076
    assert {pipeline.steps_of(1.5, 64, 16, r) for r in ("down", "nearest", "up")} == {6}


def test_in_memory_gives_the_same_stream():
    records = [{"x": i, "image": np.full((2, 2), i, np.uint8), "text": "a"} for i in range(12)]
    dataset = Dataset(records, "test")
    spec = {
        "x": jax.ShapeDtypeStruct((), np.int32),
        "image": jax.ShapeDtypeStruct((2, 2), np.uint8),
    }
    kept = pipeline.stream(dataset.in_memory, spec, 5, seed=3)
    read = pipeline.stream(lambda: dataset, spec, 5, seed=3)
    assert_equal(take(kept, 4), take(read, 4))
    assert kept.dataset.origin == kept.origin == "test"


def test_streams_beside_each_other_are_those_alone_and_resume_together():
    def both():
        return pipeline.MergedStreams({"": make(), "held_out_": make(seed=5, batch_size=4)})

    source, alone, held_out = both(), take(make(), 3), take(make(seed=5, batch_size=4), 3)
    source.open()
    assert {name: s.shape[0] for name, s in source.spec.items()} == {
        "x": 8,
        "noise": 8,
        "held_out_x": 4,
        "held_out_noise": 4,
    }
    first = take(source, 2)
    for batch, left, right in zip(first, alone, held_out, strict=False):
        assert_equal(batch, {**left, **{f"held_out_{k}": v for k, v in right.items()}})
    resumed = both()
    resumed.set_state(json.loads(json.dumps(source.get_state())))
    assert_equal(resumed(None), source(None))
