"""Sentence pairs to batches: token ids, buckets by length, batches of equal token count."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from tokenizers import Tokenizer

from research.core import Source
from research.core.errors import UserError
from research.core.map_batches import map_batches
from research.data.dataset import Rows
from research.data.text.tokenization import (
    BOS,
    EOS,
    PAD,
    UNK,
    UNKNOWN,
    Learn,
    Pair,
    special_tokens_are_text,
)

_TOKENIZERS = ("source_tokenizer.json", "target_tokenizer.json")
_EXAMPLES = "sentences.json"

EncodedPair = tuple[np.ndarray, np.ndarray]


class ParallelText:
    """Sentence pairs, and the tokenizers of both languages, learned from the training split.

    Everything is read when it is first asked for, so that a dry run needs no data.
    """

    def __init__(self, read: Callable[[str], tuple[Sequence[Pair], str]], learn: Learn):
        """Keeps what reads and learns, for when it is needed.

        Args:
          read: `read(split)`, of "train", "validation" or "test", gives its pairs and their origin.
          learn: makes the tokenizers of the two languages from the training pairs.
        """
        self._read = functools.cache(read)
        self._learn = learn
        self._tokenizers: tuple[Tokenizer, Tokenizer] | None = None
        self.encoded = functools.cache(self._encoded)

    @property
    def origin(self) -> str:
        """Which data the training pairs are."""
        return self._read("train")[1]

    def pairs(self, split: str) -> Sequence[Pair]:
        """The pairs (source, target) of a split, as text."""
        return self._read(split)[0]

    @property
    def tokenizers(self) -> tuple[Tokenizer, Tokenizer]:
        """Of the source and of the target language; the same one twice where they share it."""
        if self._tokenizers is None:
            self._tokenizers = self._learn(self.pairs("train"))
        return self._tokenizers

    def to_files(self) -> dict[str, bytes]:
        """The tokenizers and a few sentences, for `Experiment.assets`."""
        files = zip(_TOKENIZERS, self.tokenizers, strict=True)
        sentences = json.dumps(self.examples, ensure_ascii=False, indent=1)
        kept = {name: tokenizer.to_str().encode() for name, tokenizer in files}
        return {**kept, _EXAMPLES: sentences.encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes what a run has kept; no tokenizer is then trained."""
        source, target = (
            special_tokens_are_text(Tokenizer.from_str(files[name].decode()))
            for name in _TOKENIZERS
        )
        self._tokenizers = source, target
        self.examples = json.loads(files[_EXAMPLES])

    @functools.cached_property
    def examples(self) -> list[str]:
        """A few sentences of the test split, in the source language."""
        return [source for source, _ in self.pairs("test")[:5]]

    def _encoded(self, split: str) -> list[EncodedPair]:
        """Token ids of a split's pairs, each sequence with `EOS` at its end."""
        sides = [
            [
                np.array([*encoding.ids, EOS], np.int32)
                for encoding in tokenizer.encode_batch(list(lines))
            ]
            for tokenizer, lines in zip(
                self.tokenizers, zip(*self.pairs(split), strict=True), strict=True
            )
        ]
        return list(zip(*sides, strict=True))

    def encode_source(self, line: str) -> np.ndarray:
        """Token ids of a sentence to translate, with `EOS` at its end."""
        return np.array([*self.tokenizers[0].encode(line).ids, EOS], np.int32)

    def decode(self, ids: np.ndarray) -> str:
        """Text of a target's token ids up to the first `EOS`, unknown words as "<unk>"."""
        return (
            self.tokenizers[1]
            .decode([i for i in _up_to_end(ids) if i not in (PAD, BOS)], skip_special_tokens=False)
            .strip()
        )

    def words(self, lines: Sequence[str]) -> list[str]:
        """Target sentences as a vocabulary of words would write them if it had every word.

        What is decoded is to be compared with this. Subwords give any text back: then nothing is
        changed.
        """
        tokenizer = self.tokenizers[1]
        if tokenizer.token_to_id(UNKNOWN) != UNK:
            return list(lines)
        cut = tokenizer.pre_tokenizer.pre_tokenize_str
        return [" ".join(word for word, _ in cut(line)) for line in lines]

    def source_tokens(self, ids: np.ndarray) -> list[str]:
        """Readable form of every token of a source, for axes of plots; see `target_tokens`."""
        return _readable(self.tokenizers[0], ids)

    def target_tokens(self, ids: np.ndarray) -> list[str]:
        """Readable form of every token: "Ġ", the blank before a word of BPE, as "_"."""
        return _readable(self.tokenizers[1], ids)


def _up_to_end(ids: np.ndarray) -> list[int]:
    ids = np.asarray(ids)
    ends = np.flatnonzero(ids == EOS)
    return ids[: ends[0] if len(ends) else None].tolist()


def _readable(tokenizer: Tokenizer, ids: np.ndarray) -> list[str]:
    return [str(tokenizer.id_to_token(int(i))).replace("Ġ", "_") for i in ids]


def bucket_lengths(shortest: int, longest: int, growth: float) -> list[int]:
    """Lengths that sequences are padded to: `shortest`, growing by `growth`, until `longest`."""
    lengths = [shortest]
    while lengths[-1] < longest:
        lengths.append(max(lengths[-1] + 1, int(lengths[-1] * growth)))
    return [*lengths[:-1], longest]


def pad(sequences: Sequence[np.ndarray], rows: int, length: int) -> np.ndarray:
    """`[rows, length]` int32, `PAD` after every sequence and in the rows that are left."""
    padded = np.full((rows, length), PAD, np.int32)
    for row, sequence in zip(padded, sequences, strict=False):
        row[: len(sequence)] = sequence
    return padded


def _rows(tokens: int, length: int, multiple: int) -> int:
    return max(multiple, tokens // length // multiple * multiple)


class PairBatches(Source):
    """Batches `{"source": [N, L], "target": [N, L]}` of pairs of about the same length.

    A pair goes to the first bucket that its longer side fits; longer pairs are left out. A batch
    has `sentences` pairs, or where that is 0 about `tokens` tokens on each side: N = tokens / L,
    rounded down to a multiple of `multiple`. So there are as many shapes as buckets. Every epoch is
    a new permutation of the pairs, cut into batches within each bucket, and the batches in random
    order. A rest that does not fill a batch moves up to the next bucket; that of the last bucket is
    left out, others in every epoch. Batch t is a function of (seed, t), whatever the number of
    processes: each takes its rows of it.
    """

    sized_by = "data.batch_multiple"

    def __init__(
        self,
        text: ParallelText,
        lengths: Sequence[int],
        tokens: int,
        seed: int,
        multiple: int = 8,
        split: str = "train",
        sentences: int = 0,
    ):
        self.text, self.lengths, self.seed, self.split = text, list(lengths), seed, split
        if sentences:
            self.sized_by = "data.sentences_per_batch"
        self.row_counts = [sentences or _rows(tokens, length, multiple) for length in self.lengths]
        shapes = zip(self.row_counts, self.lengths, strict=True)
        rows, length = max(shapes, key=lambda s: s[0] * s[1])
        shape = jax.ShapeDtypeStruct((rows, length), np.int32)
        self.spec = {"source": shape, "target": shape}
        self.epoch = self.index = 0
        self._plan: tuple[int, list[tuple[int, np.ndarray]]] | None = None

    def open(self) -> None:
        self.origin = self.text.origin
        if not self._batches(self.epoch):
            raise UserError(
                f"{len(self._bucket)} pairs of {self.origin} fill no batch of "
                f"{min(self.row_counts)} to {max(self.row_counts)} pairs; set a smaller "
                "--config.data.tokens_per_batch and data.batch_multiple"
            )

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        batches = self._batches(self.epoch)
        bucket, chosen = batches[self.index]
        self.index += 1
        if self.index == len(batches):
            self.epoch, self.index = self.epoch + 1, 0
        share = len(chosen) // jax.process_count()
        start = share * jax.process_index()
        pairs = [self.text.encoded(self.split)[i] for i in chosen[start : start + share]]
        return _padded(pairs, share, self.lengths[bucket])

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "index": self.index}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.index = state["epoch"], state["index"]

    @functools.cached_property
    def _bucket(self) -> np.ndarray:
        longest = [max(map(len, pair)) for pair in self.text.encoded(self.split)]
        return np.searchsorted(self.lengths, longest)

    def _batches(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        if self._plan is None or self._plan[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            order = rng.permutation(len(self._bucket))
            batches: list[tuple[int, np.ndarray]] = []
            rest = order[:0]
            for bucket, size in enumerate(self.row_counts):
                members = np.concatenate([rest, order[self._bucket[order] == bucket]])
                whole = len(members) // size * size
                batches += [(bucket, chosen) for chosen in members[:whole].reshape(-1, size)]
                rest = members[whole:]
            self._plan = epoch, [batches[i] for i in rng.permutation(len(batches))]
        return self._plan[1]


class SortedBatches(Source):
    """Batches `{"source": [N, L], "target": [N, L]}` of pairs that were sorted by length together.

    Every `count` updates the next count * N pairs are taken, sorted by the longer of their sides
    and cut into `count` batches, the shortest first (Bahdanau et al. 2014, B.2). A batch is padded
    to the first bucket that its longest pair fits; pairs longer than the last bucket are left out.
    Every epoch is a new permutation of the pairs, and what does not fill count * N of them is left
    out, others in every epoch. Batch t is a function of (seed, t), whatever the number of
    processes.
    """

    sized_by = "data.sentences_per_batch"

    def __init__(
        self,
        text: ParallelText,
        lengths: Sequence[int],
        sentences: int,
        count: int,
        seed: int,
        split: str = "train",
    ):
        self.text, self.lengths, self.seed, self.split = text, list(lengths), seed, split
        self.sentences, self.count = sentences, count
        shape = jax.ShapeDtypeStruct((sentences, self.lengths[-1]), np.int32)
        self.spec = {"source": shape, "target": shape}
        self.epoch = self.index = 0
        self._plan: tuple[int, np.ndarray] | None = None

    def open(self) -> None:
        """Raises UserError where not even one group of batches can be made."""
        self.origin = self.text.origin
        if not len(self._batches(self.epoch)):
            raise UserError(
                f"{len(self._fits)} pairs of at most {self.lengths[-1]} tokens make no "
                f"{self.count} batches of {self.sentences}; lower data.sentences_per_batch"
            )

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        batches = self._batches(self.epoch)
        chosen = batches[self.index]
        self.index += 1
        if self.index == len(batches):
            self.epoch, self.index = self.epoch + 1, 0
        length = self.lengths[np.searchsorted(self.lengths, self._longest[chosen].max())]
        share = len(chosen) // jax.process_count()
        start = share * jax.process_index()
        pairs = [self.text.encoded(self.split)[i] for i in chosen[start : start + share]]
        return _padded(pairs, share, length)

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "index": self.index}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.index = state["epoch"], state["index"]

    @functools.cached_property
    def _longest(self) -> np.ndarray:
        return np.array([max(map(len, pair)) for pair in self.text.encoded(self.split)])

    @functools.cached_property
    def _fits(self) -> np.ndarray:
        return np.flatnonzero(self._longest <= self.lengths[-1])

    def _batches(self, epoch: int) -> np.ndarray:
        """Pairs of each batch of an epoch: `[batches, N]`."""
        if self._plan is None or self._plan[0] != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(self._fits)
            together = self.count * self.sentences
            groups = order[: len(order) // together * together].reshape(-1, together)
            by_length = np.argsort(self._longest[groups], axis=1, kind="stable")
            groups = np.take_along_axis(groups, by_length, axis=1)
            self._plan = epoch, groups.reshape(-1, self.sentences)
        return self._plan[1]


def _padded(pairs: Sequence[EncodedPair], rows: int, length: int) -> dict[str, np.ndarray]:
    sources, targets = zip(*pairs, strict=True)
    return {"source": pad(sources, rows, length), "target": pad(targets, rows, length)}


def map_pairs(
    function: Callable[[Any, dict[str, jax.Array]], Any],
    variables: Any,
    pairs: Sequence[EncodedPair],
    lengths: Sequence[int],
    tokens_per_batch: int,
) -> list[Any]:
    """Applies a function to all pairs, shared over processes and devices, by buckets of length.

    Pairs longer than the longest bucket get buckets of their own, twice as long, and so on.

    Args:
      function: `(variables, {"source": [N, L], "target": [N, L]}) -> outputs`, jitted, with leaves
        `[N, ...]`; compiled once for every bucket that is needed.
      variables: its first argument.
      pairs: token ids of both sides.
      lengths: L of the buckets, ascending.
      tokens_per_batch: N * L, of one side, at most; N is 1 at least.

    Returns:
      The outputs of every pair, in order.
    """
    longest = np.array([max(map(len, pair)) for pair in pairs])
    lengths = list(lengths)
    while lengths[-1] < longest.max():
        lengths.append(2 * lengths[-1])
    bucket = np.searchsorted(lengths, longest)
    outputs: list[Any] = [None] * len(pairs)
    for i, length in enumerate(lengths):
        members = np.flatnonzero(bucket == i).tolist()
        if not members:
            continue
        rows = Rows(_padded([pairs[j] for j in members], len(members), length))
        batch_size = _rows(tokens_per_batch, length, 1)
        found = map_batches(function, variables, rows, batch_size)
        for row, member in enumerate(members):
            outputs[member] = jax.tree.map(lambda x, row=row: x[row], found)
    return outputs
