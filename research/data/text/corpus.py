"""Corpora of text, tokenised: what language models train on, and are tested on."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.core.errors import UserError, quoted
from research.data.dataset import Dataset
from research.data.load import load
from research.data.sources import own
from research.data.text import token_files, vocabulary
from research.data.text.contamination import without_overlap
from research.data.text.packing import Documents, MixedRows, PackedRows, Rows


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Data sets whose records have a "text". All is read when it is first asked for.

    Training tokens are held in memory, four bytes each; where `$LANDMARKS_TOKENS` names a folder,
    they are kept there and mapped into memory (`token_files`), and no training text is read for
    them once they are.

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

    @functools.cached_property
    def _kept(self) -> token_files.Entry | None:
        """Where the training tokens are kept; None for nowhere."""
        folder = token_files.entries_folder()
        return None if folder is None else token_files.Entry(folder, self._decided_by())

    def _decided_by(self) -> dict[str, Any]:
        """All that the training tokens depend on."""
        folders = [
            f
            for v in (self.data_dir, os.environ.get("LANDMARKS_DATA", ""))
            for f in v.split(os.pathsep)
        ]
        paths = [Path(self.kind)] if self.kind not in vocabulary.KINDS else []
        for name in self.names:
            if own.is_own(name):
                paths.append(own.path(name))
            else:
                paths += [Path(folder, name.split("/")[0]) for folder in folders if folder]
        settings = dataclasses.asdict(self)
        del settings["weights"], settings["data_dir"]
        # Some texts come with Python.
        return {**settings, "files": token_files.fingerprint(paths), "python": sys.version}

    @property
    def origin(self) -> str:
        """Which data the training documents are."""
        if self._kept is not None and self._kept.is_there:
            return "; ".join(documents.origin for documents in self.train)
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
        if self._kept is not None and self._kept.is_there:
            return vocabulary.from_files(self.kind, self._kept.vocabulary_files())
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
        if self._kept is None:
            return [self.encode(texts, origin) for texts, origin in self._train]
        if not self._kept.is_there:
            words = self.vocabulary
            sets = [(map(words.encode, texts), origin) for texts, origin in self._train]
            self._kept.write(sets, words.end_of_text, words.size, words.to_files())
        return self._kept.documents()

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
