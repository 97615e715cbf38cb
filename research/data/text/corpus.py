"""Corpora of text, tokenised: what language models train on, and are tested on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from research.core.errors import UserError, quoted
from research.data.dataset import Dataset
from research.data.load import load
from research.data.text import vocabulary
from research.data.text.contamination import without_overlap
from research.data.text.packing import Documents, MixedRows, PackedRows, Rows


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Data sets whose records have a "text". All is read when it is first asked for.

    Tokens are held in memory, four bytes each.

    Attributes:
      names: of the sets for `data.load`; the test text is that of the first.
      weights: share of each set in the rows.
      data_dir: where they lie.
      kind, vocab_size: see `vocabulary.make`.
      overlap_words: runs of so many words that the test text has too are taken out of the training
        text; 0 leaves them in.
      test_split: split of the first set to test on.
      train_split: split of every set to train on.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    data_dir: str
    kind: str
    vocab_size: int
    overlap_words: int
    test_split: str
    train_split: str = "train"

    def __post_init__(self) -> None:
        """Raises UserError where names and weights do not go together."""
        if len(self.names) != len(self.weights) or not sum(self.weights) > 0:
            raise UserError(
                f"data.weights has a share for each of data.names {quoted(self.names)}, above 0 "
                f"together; not {quoted(self.weights)}"
            )

    @functools.cached_property
    def _train(self) -> list[tuple[list[str], str]]:
        """Texts and origin of every set's training split."""
        read = []
        for name in self.names:
            data = load(name, self.train_split, self.data_dir)
            texts = _texts(data)
            read.append((without_overlap(texts, self.test_texts, self.overlap_words), data.origin))
        return read

    @property
    def origin(self) -> str:
        """Which data the training documents are."""
        return "; ".join(origin for _, origin in self._train)

    @property
    def train_texts(self) -> list[str]:
        """Documents to train on."""
        return [text for texts, _ in self._train for text in texts]

    @functools.cached_property
    def test_texts(self) -> list[str]:
        """Documents to test on."""
        return _texts(load(self.names[0], self.test_split, self.data_dir))

    @functools.cached_property
    def vocabulary(self) -> vocabulary.Vocabulary:
        return vocabulary.make(self.kind, self.vocab_size, self.train_texts)

    def to_files(self) -> dict[str, bytes]:
        """The vocabulary, for `Experiment.assets`."""
        return self.vocabulary.to_files()

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes a vocabulary that a run has kept; no text is then read for it."""
        self.__dict__["vocabulary"] = vocabulary.from_files(self.kind, files)

    def encode(self, texts: Sequence[str], origin: str = "") -> Documents:
        encoded = (self.vocabulary.encode(text) for text in texts)
        return Documents.of(encoded, self.vocabulary.end_of_text, origin)

    @functools.cached_property
    def train(self) -> list[Documents]:
        """Training documents of every set."""
        return [self.encode(texts, origin) for texts, origin in self._train]

    @functools.cached_property
    def test(self) -> np.ndarray:
        """Tokens of the test documents."""
        return self.encode(self.test_texts).tokens

    def rows(self, length: int, seed: int) -> Rows:
        """Training rows of `length` + 1 tokens, the sets mixed by their weights."""
        packed = [PackedRows(documents, length, seed + i) for i, documents in enumerate(self.train)]
        return packed[0] if len(packed) == 1 else MixedRows(packed, self.weights, seed)


def _texts(data: Dataset) -> list[str]:
    """The texts of a data set.

    Raises:
      UserError: its records have none.
    """
    if len(data) and not isinstance(data[0].get("text"), str):
        raise UserError(f"{data!r} has no text, but {', '.join(data[0])}; choose another data set")
    return [record["text"] for record in data]
