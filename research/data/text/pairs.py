"""Text to batches: joint byte-level BPE, buckets by length, batches of equal token count."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from research.core import Source
from research.core.map_batches import map_batches
from research.data.dataset import Rows

PAD, BOS, EOS = range(3)
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>")
TOKENIZER, _EXAMPLES = "tokenizer.json", "sentences.json"

Pair = tuple[str, str]
EncodedPair = tuple[np.ndarray, np.ndarray]


def train_bpe(lines: Sequence[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE (Sennrich et al. 2016; bytes as in Radford et al. 2019).

    Bytes are its alphabet, so it encodes any text and `decode` gives the text back. Ids 0, 1, 2 are
    `PAD`, `BOS`, `EOS`. The vocabulary stays below `vocab_size` where the text has too few merges.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


class ParallelText:
    """Sentence pairs, and the tokenizer that both languages share, trained on the training split.

    Everything is read when it is first asked for, so that a dry run needs no data.

    Attributes:
      vocab_size: tokens that the vocabulary has at most.
    """

    def __init__(self, read: Callable[[str], tuple[Sequence[Pair], str]], vocab_size: int):
        """`read(split)`, of "train", "validation" or "test", gives its pairs and their origin."""
        self._read = functools.cache(read)
        self.vocab_size = vocab_size
        self.encoded = functools.cache(self._encoded)

    @property
    def origin(self) -> str:
        """Which data the training pairs are."""
        return self._read("train")[1]

    def pairs(self, split: str) -> Sequence[Pair]:
        """The pairs (source, target) of a split, as text."""
        return self._read(split)[0]

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        pairs = self.pairs("train")
        return train_bpe([line for pair in pairs for line in pair], self.vocab_size)

    def to_files(self) -> dict[str, bytes]:
        """The tokenizer and a few sentences, for `Experiment.assets`."""
        sentences = json.dumps(self.examples, ensure_ascii=False, indent=1)
        return {TOKENIZER: self.tokenizer.to_str().encode(), _EXAMPLES: sentences.encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes what a run has kept; no tokenizer is then trained."""
        self.tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
        self.examples = json.loads(files[_EXAMPLES])

    @functools.cached_property
    def examples(self) -> list[str]:
        """A few sentences of the test split, in the source language."""
        return [source for source, _ in self.pairs("test")[:5]]

    def encode(self, line: str) -> np.ndarray:
        """Token ids of a line of either language, with `EOS` at its end."""
        return np.array([*self.tokenizer.encode(line).ids, EOS], np.int32)

    def _encoded(self, split: str) -> list[EncodedPair]:
        """Token ids of a split's pairs, each sequence with `EOS` at its end."""
        sides = [
            [
                np.array([*encoding.ids, EOS], np.int32)
                for encoding in self.tokenizer.encode_batch(list(lines))
            ]
            for lines in zip(*self.pairs(split), strict=True)
        ]
        return list(zip(*sides, strict=True))

    def decode(self, ids: np.ndarray) -> str:
        """Text of token ids up to the first `EOS`, without special tokens."""
        ids = np.asarray(ids)
        ends = np.flatnonzero(ids == EOS)
        return self.tokenizer.decode(ids[: ends[0] if len(ends) else None].tolist()).strip()

    def tokens(self, ids: np.ndarray) -> list[str]:
        """Readable form of every token, for axes of plots: "Ġ", the blank before a word, as "_"."""
        return [str(self.tokenizer.id_to_token(int(i))).replace("Ġ", "_") for i in ids]


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
    """Batches `{"source": [N, L], "target": [N, L]}` with about `tokens` tokens on each side.

    A pair goes to the first bucket that its longer side fits; longer pairs are left out. A bucket
    of length L has N = tokens / L pairs, rounded down to a multiple of `multiple`, so there are as
    many shapes as buckets. Every epoch is a new permutation of the pairs, cut into batches within
    each bucket, and the batches in random order. A rest that does not fill a batch moves up to the
    next bucket; that of the last bucket is left out, others in every epoch. Batch t is a function
    of (seed, t), whatever the number of processes: each takes its rows of it.
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
    ):
        self.text, self.lengths, self.seed, self.split = text, list(lengths), seed, split
        self.row_counts = [_rows(tokens, length, multiple) for length in self.lengths]
        shapes = zip(self.row_counts, self.lengths, strict=True)
        rows, length = max(shapes, key=lambda s: s[0] * s[1])
        shape = jax.ShapeDtypeStruct((rows, length), np.int32)
        self.spec = {"source": shape, "target": shape}
        self.epoch = self.index = 0
        self._plan: tuple[int, list[tuple[int, np.ndarray]]] | None = None

    def open(self) -> None:
        self.origin = self.text.origin
        self._batches(self.epoch)

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
