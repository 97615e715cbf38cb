"""Lines of characters out of a text, and how far the n-grams of samples are from those of data."""

from __future__ import annotations

import collections
import functools
from collections.abc import Sequence

import jax
import numpy as np

from research.core.errors import UserError
from research.data import load, pipeline

UNKNOWN = "~"  # in place of the characters that are not among the commonest


class CharacterRows:
    """Every run of characters of one length that a text's splits hold.

    Args:
      name: of a data set whose records have a "text".
      data_dir: where it lies.
      length: characters in a row.
      num_characters: of the vocabulary: the commonest, and one for all others.
    """

    def __init__(self, name: str, data_dir: str, length: int, num_characters: int):
        if length < 4:
            raise UserError(f"data.sequence_length is at least 4 (for 4-grams), not {length}")
        if num_characters < 2:
            raise UserError(f"data.num_characters is at least 2, not {num_characters}")
        self.name, self.data_dir = name, data_dir
        self.length, self.num_characters = length, num_characters

    @functools.cache  # noqa: B019  (one object a run)
    def text(self, split: str) -> tuple[str, str]:
        """A split's text, white space made single blanks, and where it comes from."""
        records = load(self.name, split, self.data_dir)
        return " ".join(" ".join(r["text"] for r in records).split()), records.origin

    @functools.cached_property
    def characters(self) -> list[str]:
        """The vocabulary, the commonest first, `UNKNOWN` last."""
        counts = collections.Counter(self.text("train")[0])
        counts.pop(UNKNOWN, None)
        return [c for c, _ in counts.most_common(self.num_characters - 1)] + [UNKNOWN]

    @functools.cache  # noqa: B019
    def encoded(self, split: str) -> np.ndarray:
        """The characters of a split by number, int32.

        Raises:
          UserError: it has fewer than ten rows.
        """
        number = {c: i for i, c in enumerate(self.characters)}
        unknown = number[UNKNOWN]
        text, origin = self.text(split)
        if len(text) < 10 * self.length:
            raise UserError(f"{origin}: fewer than ten rows of {self.length} characters")
        return np.array([number.get(c, unknown) for c in text], np.int32)

    def decode(self, rows: np.ndarray) -> list[str]:
        """Strings of numbers `[N, T]`."""
        return ["".join(self.characters[i] for i in row) for row in rows]

    def lines(self, split: str, num: int) -> list[str]:
        """`num` rows of a split, evenly spread over it."""
        ids = self.encoded(split)
        starts = np.linspace(0, len(ids) - self.length, num).astype(int)
        return self.decode(ids[starts[:, None] + np.arange(self.length)])

    def stream(self, batch_size: int, seed: int) -> pipeline.Stream:
        """Batches of "characters" int32 `[B, T]`."""
        spec = {"characters": jax.ShapeDtypeStruct((self.length,), np.int32)}
        return pipeline.stream(lambda: _Windows(self), spec, batch_size, seed)


class _Windows(Sequence):
    """Rows that start at every place of the training text."""

    def __init__(self, rows: CharacterRows):
        self._ids, self._length = rows.encoded("train"), rows.length
        self.origin = rows.text("train")[1]
        self.vocabulary = rows.characters[: rows.num_characters]
        rows.encoded("test")  # what is judged by is opened, too

    def __len__(self) -> int:
        return len(self._ids) - self._length + 1

    def __getitem__(self, index):
        return {"characters": self._ids[index : index + self._length]}


def ngram_divergences(samples: Sequence[str], data: Sequence[str]) -> dict[str, float]:
    """Jensen-Shannon divergence, in nats, of the n-grams of samples from those of data.

    Returns:
      "js1" to "js4".
    """
    return {f"js{n}": _divergence(_shares(samples, n), _shares(data, n)) for n in range(1, 5)}


def _shares(lines: Sequence[str], n: int) -> dict[str, float]:
    counts = collections.Counter(
        line[i : i + n] for line in lines for i in range(len(line) - n + 1)
    )
    total = sum(counts.values())
    return {gram: count / total for gram, count in counts.items()}


def _divergence(p: dict[str, float], q: dict[str, float]) -> float:
    def to_mean(a: dict[str, float], b: dict[str, float]) -> float:
        return sum(x * np.log(2 * x / (x + b.get(gram, 0.0))) for gram, x in a.items())

    return float(to_mean(p, q) + to_mean(q, p)) / 2
