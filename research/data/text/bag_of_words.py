"""Texts as bags of words: which of the commonest words occur, in no order."""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterable, Mapping

import numpy as np

_WORD = re.compile(r"[^\W\d_]+")  # letters alone: an identifier is several words
_FILE = "words.json"


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return _WORD.findall(text.lower())


class BagOfWords:
    """The commonest words of some texts, and texts as vectors of which of them occur.

    Attributes:
      words: commonest first; of equally common ones the first by alphabet.
    """

    def __init__(self, words: Iterable[str]):
        self.words = tuple(words)
        self._places = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def train(cls, texts: Iterable[str], num_words: int) -> BagOfWords:
        """Counts words; of texts with fewer different ones there are fewer."""
        counts = collections.Counter(word for text in texts for word in words_of(text))
        return cls(sorted(counts, key=lambda word: (-counts[word], word))[:num_words])

    def __call__(self, text: str, size: int = 0) -> np.ndarray:
        """1 where a word occurs, however often, else 0: uint8 `[size]`, by default of all words.

        Args:
          text: any.
          size: entries; those beyond the words are 0.
        """
        vector = np.zeros(size or len(self.words), np.uint8)
        vector[[self._places[word] for word in words_of(text) if word in self._places]] = 1
        return vector

    def to_files(self) -> dict[str, bytes]:
        """What a run keeps of it."""
        return {_FILE: json.dumps(self.words).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> BagOfWords:
        """The words as a run has kept them."""
        return cls(json.loads(files[_FILE]))
