"""Documents that can be predicted only from themselves: the smallest in-context learning task.

A document draws a random label for each of K keys, and goes on with pairs «key, label» of random
keys. The label of a key that comes up for the first time is a guess; from the second time on it can
be read off the document, if one looks for the earlier pair.
"""

from __future__ import annotations

import dataclasses
import string

import numpy as np

from research.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class KeyLabels:
    """The task. Keys are tokens 0 ..., labels those after them, and one more begins a document.

    Attributes:
      keys, labels: how many there are.
      pairs: in a document.
      seed: documents are a function of (seed, their number).
    """

    keys: int
    labels: int
    pairs: int
    seed: int
    origin: str = "procedural key-label documents"

    def __post_init__(self) -> None:
        """Raises UserError where there are more keys than letters, or more labels than digits."""
        if self.keys > len(string.ascii_lowercase) or self.labels > len(string.digits):
            raise UserError(
                f"data.num_keys is at most {len(string.ascii_lowercase)} and data.num_labels "
                f"{len(string.digits)}, not {self.keys} and {self.labels}"
            )

    @property
    def vocab_size(self) -> int:
        return self.keys + self.labels + 1

    def __getitem__(self, index: int) -> np.ndarray:
        """Document `index`: the first token, then key, label, key, label ... `[1 + 2 pairs]`."""
        rng = np.random.default_rng((self.seed, index))
        mapping = rng.integers(self.labels, size=self.keys)
        chosen = rng.integers(self.keys, size=self.pairs)
        tokens = np.stack([chosen, self.keys + mapping[chosen]], axis=1).reshape(-1)
        return np.concatenate([[self.keys + self.labels], tokens]).astype(np.int32)

    def earlier(self, rows: np.ndarray) -> np.ndarray:
        """`[N, pairs]`: how often each pair's key came before, in documents `[N, 1 + 2 pairs]`."""
        chosen = rows[:, 1::2]
        same = chosen[:, :, None] == chosen[:, None, :]
        return np.sum(np.tril(same, -1), axis=2)

    def alphabets(self) -> tuple[str, str]:
        """The letters of keys, and the digits of labels."""
        return string.ascii_lowercase[: self.keys], string.digits[: self.labels]

    def names(self, tokens: np.ndarray) -> str:
        """Readable form of tokens: letters for keys, digits for labels."""
        return "".join((string.ascii_lowercase[: self.keys] + string.digits)[t] for t in tokens)

    def encode(self, text: str) -> np.ndarray:
        """Tokens of such a form."""
        alphabet = string.ascii_lowercase[: self.keys] + string.digits[: self.labels]
        return np.array([alphabet.index(c) for c in text], np.int32)
