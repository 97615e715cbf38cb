"""Tokens, buckets and batches of sentence pairs."""

import json

import jax
import numpy as np
import pytest

from research.data.text.pairs import (
    BOS,
    EOS,
    PAD,
    PairBatches,
    ParallelText,
    bucket_lengths,
    map_pairs,
    pad,
)
from research.data.text.parallel import parallel_text
from research.data.text.tokenization import SPECIAL_TOKENS, JointBPE, train_bpe

LINES = ["low lower lowest", "new newer newest", "wide wider widest"] * 5
LENGTHS = [18, 26, 44]


@pytest.fixture(scope="module")
def text():
    return parallel_text("procedural", "", "en", "xx", JointBPE(500), 700, 30)


def batches(text, seed=0, **setting):
    return PairBatches(text, LENGTHS, 450, seed, **setting)


def test_bpe_gives_any_text_back():
    tokenizer = train_bpe(LINES, 300)
    for line in (*LINES[:3], "Größe: 3 km², «déjà vu» ☃", "never seen"):
        assert tokenizer.decode(tokenizer.encode(line).ids).strip() == line
    assert [tokenizer.token_to_id(t) for t in SPECIAL_TOKENS] == [PAD, BOS, EOS]
    assert tokenizer.get_vocab_size() <= 300
    assert len(tokenizer.encode("newest").ids) < len("newest")


def test_bpe_is_deterministic():
    assert train_bpe(LINES, 300).to_str() == train_bpe(LINES, 300).to_str()


def test_tokenizer_sees_the_training_split_alone():
    splits = {"train": [("aaaa bbbb", "aaaa")] * 9, "test": [("qqqq qqqq", "qqqq")] * 99}
    text = ParallelText(lambda split: (splits[split], f"made up, {split}"), JointBPE(300))
    assert text.origin == "made up, train"
    assert len(text.tokenizers[0].encode("aaaa").ids) == 1
    assert len(text.tokenizers[0].encode("qqqq").ids) == 5
    source, target = text.encoded("test")[0]
    assert source[-1] == target[-1] == EOS
    assert text.decode(source) == "qqqq qqqq"
    assert text.decode(np.append(source, [7, PAD])) == "qqqq qqqq"  # nothing after the end


def test_bucket_lengths_grow_by_the_factor():
    lengths = bucket_lengths(24, 160, 1.1)
    assert lengths[0] == 24 and lengths[-1] == 160
    ratios = np.divide(lengths[1:], lengths[:-1])
    assert np.all(ratios > 1) and np.all(ratios <= 1.1 + 1e-9)
    assert len(lengths) <= 24
    assert bucket_lengths(5, 8, 1.1) == [5, 6, 7, 8]  # by one at least


def test_pad():
    padded = pad([np.array([5, 6]), np.array([7])], rows=3, length=4)
    assert padded.tolist() == [[5, 6, 0, 0], [7, 0, 0, 0], [0, 0, 0, 0]]


def test_an_epoch_has_every_pair_once_in_batches_of_equal_tokens(text):
    source = batches(text)
    source.open()
    epoch, seen = 0, []
    while source.epoch == epoch:
        batch = source(None)
        rows, length = batch["source"].shape
        assert batch["target"].shape == (rows, length)
        assert length in LENGTHS and rows % 8 == 0
        assert 450 - 8 * length < rows * length <= 450
        longest = max(np.count_nonzero(batch[side], axis=1).max() for side in batch)
        assert longest <= length
        seen += [tuple(row[row != PAD]) for row in batch["source"]]
        assert np.all(np.any(batch["source"] == EOS, axis=1))
    assert len(set(seen)) == len(seen)  # source sentences all differ
    fitting = sum(max(map(len, pair)) <= LENGTHS[-1] for pair in text.encoded("train"))
    assert fitting - 8 < len(seen) <= fitting  # less than one batch is left out


def test_spec_is_the_largest_batch(text):
    source = batches(text)
    size = np.prod(source.spec["source"].shape)
    shapes = {source(None)["source"].shape for _ in range(60)}
    assert len(shapes) == len(LENGTHS)
    assert {rows for rows, _ in shapes} == set(source.row_counts)
    assert max(np.prod(shape) for shape in shapes) == size


def test_resumed_stream_goes_on_exactly(text):
    source = batches(text)
    for _ in range(70):  # into the second epoch
        source(None)
    state = json.loads(json.dumps(source.get_state()))
    assert state["epoch"] >= 1
    fresh = batches(text)
    fresh.set_state(state)
    for _ in range(5):
        jax.tree.map(np.testing.assert_array_equal, source(None), fresh(None))


def test_seeds_and_epochs_differ(text):
    a, b, later = batches(text), batches(text, seed=1), batches(text)
    later.set_state({"epoch": 1, "index": 0})
    drawn = [source(None)["source"].tolist() for source in (a, b, later)]
    assert drawn[0] != drawn[1] and drawn[0] != drawn[2]


def test_processes_share_one_global_batch(text, monkeypatch):
    whole, parts = batches(text)(None), []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for index in range(2):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        parts.append(batches(text)(None))
    joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    jax.tree.map(np.testing.assert_array_equal, joined, whole)


def test_evaluation_has_every_pair_once_the_longest_too(text):
    pairs = text.encoded("validation")
    shapes = set()

    def function(scale, batch):
        shapes.add(batch["source"].shape)
        fits = (batch["source"] != PAD).sum(1), (batch["target"] != PAD).sum(1)
        return {"sum": scale * (batch["source"].sum(1) + 7 * batch["target"].sum(1)), "size": fits}

    outputs = map_pairs(function, 3, pairs, [10, 14], 90)
    for (source, target), output in zip(pairs, outputs, strict=True):
        assert output["sum"] == 3 * (source.sum() + 7 * target.sum())
        assert output["size"] == (len(source), len(target))
    assert all(rows * length <= 90 or rows == 1 for rows, length in shapes)
    assert len(shapes) == len({length for _, length in shapes}), "one shape a bucket"
    longest = max(map(len, (p for pair in pairs for p in pair)))
    assert longest > 14 and max(length for _, length in shapes) >= longest


def test_splits_of_the_procedural_task_are_disjoint(text):
    train, validation, test = (set(text.pairs(s)) for s in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (700, 30, 30)
    assert not train & test and not train & validation and not validation & test
