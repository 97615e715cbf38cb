"""Streams are the text, batches go on where the ones before ended, and resume exactly."""

import jax
import numpy as np
import pytest

from research.core import UserError
from research.data.text.streams import StreamBatches, cut_streams

B, T, STEPS = 3, 4, 5
TEXT = np.arange(100, 100 + B * T * STEPS + 7)  # each token says where it stands


def source():
    return StreamBatches(lambda: (TEXT, "toy"), B, T, STEPS)


def test_streams_are_the_text_and_what_follows():
    streams = cut_streams(TEXT, B, T)
    assert streams.shape == (B, STEPS * T + 1)
    np.testing.assert_array_equal(streams[:, :-1].ravel(), TEXT[: B * STEPS * T])
    np.testing.assert_array_equal(streams[:-1, -1], streams[1:, 0])


def test_each_batch_goes_on_where_the_one_before_ended():
    made = source()
    batches = [made(None) for _ in range(2 * STEPS)]
    for j, (batch, after) in enumerate(zip(batches, batches[1:], strict=False)):
        goes_on = (batch["tokens"][:, -1] == after["tokens"][:, 0]).all()
        assert goes_on == (j % STEPS != STEPS - 1)
    np.testing.assert_array_equal([b["first"].all() for b in batches], ([True] + [False] * 4) * 2)
    assert all(b["first"].any() == b["first"].all() for b in batches)


def test_every_target_comes_once_in_an_epoch_after_its_input():
    made = source()
    rows = np.concatenate([made(None)["tokens"] for _ in range(STEPS)])
    np.testing.assert_array_equal(rows[:, 1:], rows[:, :-1] + 1)
    np.testing.assert_array_equal(np.sort(rows[:, 1:].ravel()), TEXT[1 : B * T * STEPS + 1])


def test_a_source_that_is_set_to_a_place_goes_on_from_there():
    made, other = source(), source()
    for _ in range(STEPS + 2):
        made(None)
    other.set_state(made.get_state())
    for _ in range(STEPS):
        jax.tree.map(np.testing.assert_array_equal, made(None), other(None))


def test_processes_share_one_global_batch(monkeypatch):
    def first():
        return StreamBatches(lambda: (TEXT, "toy"), 2, T, len(TEXT) // (2 * T))(None)

    whole, parts = first(), []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for index in range(2):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        parts.append(first())
    joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    jax.tree.map(np.testing.assert_array_equal, joined, whole)


def test_batches_are_as_they_were_announced():
    made = source()
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), made(None))
    assert shapes == jax.tree.map(lambda spec: (spec.shape, spec.dtype), made.spec)


def test_too_little_text_is_refused():
    with pytest.raises(UserError, match="too few"):
        cut_streams(TEXT[: B * T], B, T)
    with pytest.raises(UserError, match="toy: 67 tokens make 5 batches of 3 x 4, not 6"):
        StreamBatches(lambda: (TEXT, "toy"), B, T, 6).open()
