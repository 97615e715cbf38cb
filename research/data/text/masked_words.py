"""Rows of tokens in which some are hidden, to be predicted (Devlin et al. 2018, section 3.1)."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Masking:
    """How words are chosen and hidden.

    Of the tokens that are not special a share is chosen; of those most become "[MASK]", some
    another token, and the others stay: so the network has to know every token, for it cannot tell
    which it will be asked for. What is chosen is predicted, whatever stands there.

    Attributes:
      vocab_size: ids that a random token is drawn from.
      mask: id of "[MASK]".
      special: ids that are neither chosen nor put anywhere.
      share: of the tokens that are chosen, 0.15 in the paper. Of 10 tokens these are one or two,
        by chance, so that the mean is the share; at least one.
      masked_share, random_share: of the chosen ones, 0.8 and 0.1 in the paper.
    """

    vocab_size: int
    mask: int
    special: tuple[int, ...]
    share: float = 0.15
    masked_share: float = 0.8
    random_share: float = 0.1

    @functools.cached_property
    def is_ordinary(self) -> np.ndarray:
        """Of every id: whether it is not special."""
        ordinary = np.ones(self.vocab_size, bool)
        ordinary[list(self.special)] = False
        return ordinary

    def choose(self, tokens: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
        """Positions that are to be predicted, ascending, `limit` at most.

        Args:
          tokens: `[N]`, without padding.
          limit: of their number.
          rng: decides.
        """
        ordinary = np.flatnonzero(self.is_ordinary[tokens])
        count = int(len(ordinary) * self.share + rng.random())
        count = min(max(count, 1), limit, len(ordinary))
        return np.sort(rng.permutation(ordinary)[:count])

    def hide(
        self, tokens: np.ndarray, positions: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """A copy of `tokens` in which those at `positions` are masked, replaced, or left."""
        hidden, chance = tokens.copy(), rng.random(len(positions))
        masked = chance < self.masked_share
        replaced = ~masked & (chance < self.masked_share + self.random_share)
        hidden[positions[masked]] = self.mask
        ordinary = np.flatnonzero(self.is_ordinary)
        hidden[positions[replaced]] = ordinary[rng.integers(len(ordinary), size=replaced.sum())]
        return hidden


def masked_row(
    tokens: np.ndarray, masking: Masking, limit: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """What a network learns from a sequence whose words are partly hidden.

    Args:
      tokens: `[N]`, without padding.
      masking: how.
      limit: P, predictions at most.
      rng: decides.

    Returns:
      "tokens" `[N]`, and `asked` of the positions.
    """
    positions = masking.choose(tokens, limit, rng)
    return {
        "tokens": masking.hide(tokens, positions, rng),
        **asked(positions, tokens[positions], limit),
    }


def next_word_row(tokens: np.ndarray, masking: Masking, limit: int) -> dict[str, np.ndarray]:
    """What a network that sees the left side alone learns: every ordinary token, from before it."""
    places = np.flatnonzero(masking.is_ordinary[tokens[1:]])[:limit]
    return {"tokens": tokens, **asked(places, tokens[places + 1], limit)}


def asked(positions: np.ndarray, targets: np.ndarray, limit: int) -> dict[str, np.ndarray]:
    """Predictions in arrays of one size: "positions", "targets", "weights" `[limit]`.

    Beyond those that there are, the weight is 0.
    """
    count = len(positions)
    row = {
        "positions": np.zeros(limit, np.int32),
        "targets": np.zeros(limit, np.int32),
        "weights": np.zeros(limit, np.float32),
    }
    row["positions"][:count], row["targets"][:count] = positions, targets
    row["weights"][:count] = 1.0
    return row
