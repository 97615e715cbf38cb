"""Pairs of segments: what follows follows, what does not is from elsewhere, nothing gets lost."""

import jax
import numpy as np
import pytest

from research.core import UserError
from research.data.text.segment_pairs import (
    PairBatches,
    Phase,
    laid_out,
    padded_row,
    pairs_of,
    truncated,
)


def documents(count=30, seed=0):
    """Document d has pieces d * 1000, d * 1000 + 1 and so on, in sentences."""
    rng = np.random.default_rng(seed)
    found = []
    for d in range(count):
        sizes = rng.integers(2, 9, rng.integers(4, 12))
        ids = d * 1000 + np.arange(sizes.sum())
        found.append(np.split(ids.astype(np.int32), np.cumsum(sizes)[:-1]))
    return found


DOCUMENTS = documents()


def test_pairs_over_many_documents():
    """Half are random; what is not goes on where the first segment ends."""
    rng, pairs = np.random.default_rng(0), []
    for _ in range(40):
        for i in range(len(DOCUMENTS)):
            pairs += [(i, pair) for pair in pairs_of(DOCUMENTS, i, 21, rng)]
    cut = 0
    for i, pair in pairs:
        first, second = pair.first, pair.second
        assert 2 <= len(first) + len(second) <= 21 and len(first) and len(second)
        assert set(first // 1000) == {i}
        assert (set(second // 1000) == {i}) != pair.random
        np.testing.assert_array_equal(np.diff(first), 1)
        np.testing.assert_array_equal(np.diff(second), 1)
        if not pair.random:
            cut += int(second[0] != first[-1] + 1)
    share = np.mean([pair.random for _, pair in pairs])
    assert 0.5 < share < 0.65  # a single sentence at the end has no other second segment
    assert cut < len(pairs) / 3, "where nothing was cut away, the second goes on with the first"
    lengths = np.array([len(pair.first) + len(pair.second) for _, pair in pairs])
    assert np.mean(lengths == 21) > 0.4 and lengths.min() < 10


def test_sentences_that_a_random_segment_replaces_are_used_next():
    """Over a document every sentence is in some first or true second segment."""
    rng = np.random.default_rng(1)
    for i, document in enumerate(DOCUMENTS):
        pairs = list(pairs_of(DOCUMENTS, i, 200, rng, short_share=0.0))
        own = [x for p in pairs for x in (p.first, *(() if p.random else (p.second,)))]
        np.testing.assert_array_equal(np.unique(np.concatenate(own)), np.concatenate(document))


def test_without_random_segments_a_single_sentence_stands_alone():
    one = [np.arange(4)]
    (pair,) = pairs_of([one], 0, 20, np.random.default_rng(0), random_share=0.0)
    assert pair.first.tolist() == [0, 1, 2, 3] and len(pair.second) == 0 and not pair.random
    tokens, segments = laid_out(pair.first, pair.second, 101, 102)
    assert tokens.tolist() == [101, 0, 1, 2, 3, 102] and segments.tolist() == [0] * 6


def test_the_longer_segment_is_cut():
    first, second = np.arange(10), 100 + np.arange(4)
    a, b = truncated(first, second, 9)
    assert a.tolist() == [0, 1, 2, 3, 4] and b.tolist() == [100, 101, 102, 103]
    fronts = 0
    for seed in range(200):
        a, b = truncated(first, second, 13, np.random.default_rng(seed))
        assert len(a) == 9 and len(b) == 4
        fronts += int(a[0] == 1)
    assert 70 < fronts < 130, "either end is as likely"


def test_layout_and_padding():
    tokens, segments = laid_out(np.array([7, 8]), np.array([9]), 101, 102)
    row = padded_row({"tokens": tokens, "segments": segments, "weights": np.ones(2)}, 8)
    assert row["tokens"].tolist() == [101, 7, 8, 102, 9, 102, 0, 0]
    assert row["segments"].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
    assert row["length"] == 6 and row["weights"].tolist() == [1, 1]


PHASES = (Phase(3, 12, 2), Phase(4, 24, 4))


def row(pair, phase, rng):
    tokens, segments = laid_out(pair.first, pair.second, 1, 2)
    found = padded_row({"tokens": tokens, "segments": segments}, phase.length)
    return {**found, "noise": np.float32(rng.random())}


def batches(seed=0, phases=PHASES, **settings):
    wide = jax.ShapeDtypeStruct((phases[-1].length,), np.int32)
    spec = {"tokens": wide, "segments": wide, "length": jax.ShapeDtypeStruct((), np.int32)}
    spec["noise"] = jax.ShapeDtypeStruct((), np.float32)
    return PairBatches(lambda: (DOCUMENTS, "numbers"), row, spec, phases, 8, seed, **settings)


def test_lengths_come_one_after_the_other_and_a_stream_resumes():
    source = batches()
    found, states = [], []
    for _ in range(10):
        states.append(source.get_state())
        found.append(source(None))
    assert [batch["tokens"].shape[1] for batch in found] == [12] * 3 + [24] * 7
    for at in (2, 3, 8):
        again = batches()
        again.set_state(states[at])
        for batch in found[at:]:
            for name, value in again(None).items():
                np.testing.assert_array_equal(value, batch[name])
    other = batches(seed=1)(None)
    assert not np.array_equal(other["noise"], found[0]["noise"])


def test_what_is_drawn_repeats_after_some_epochs_in_another_order():
    source = batches(phases=(Phase(1, 24, 4),), repeat_epochs=2)
    epochs: dict[int, list[float]] = {}
    for _ in range(40):
        epoch = source.get_state()["epoch"]
        epochs.setdefault(epoch, []).extend(source(None)["noise"].tolist())
    assert epochs[0] != epochs[2]
    assert len(set(epochs[0]) & set(epochs[2])) > len(epochs[0]) / 2
    assert not set(epochs[0]) & set(epochs[1])


def test_documents_in_blocks_are_all_used():
    source = batches(phases=(Phase(1, 24, 4),), together=10)
    seen, blocks = set(), set()
    while (state := source.get_state())["epoch"] < 1:
        blocks.add(state["block"])
        seen |= set((source(None)["tokens"][:, 1] // 1000).tolist())
    assert blocks == {0, 1, 2} and len(seen) > 20


@pytest.mark.parametrize("count", [2, 4])
def test_processes_have_their_rows_of_one_batch(count, monkeypatch):
    whole = batches()(None)
    monkeypatch.setattr(jax, "process_count", lambda: count)
    parts = []
    for index in range(count):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        parts.append(batches()(None))
    for name, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), value)


def test_too_little_text_is_one_line():
    spec = {"length": jax.ShapeDtypeStruct((), np.int32)}
    one = PairBatches(lambda: (DOCUMENTS[:1], "a book"), row, spec, PHASES, 2, 0)
    with pytest.raises(UserError, match="a book: 1 documents; a random second segment needs two"):
        one.open()
    few = PairBatches(lambda: (DOCUMENTS[:2], "two"), row, spec, PHASES, 64, 0)
    with pytest.raises(UserError, match="pairs fill no batch of 64"):
        few.open()
