"""Tasks as token sequences that a language model can read (Radford et al. 2018, section 3.3).

Structured inputs are traversed in order between three new tokens, so that fine-tuning adds nothing
else but a linear layer. A task is one or more sequences a question: two for similarity, which has
no order, and one an answer for multiple choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from research.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Marks:
    """The new tokens.

    Attributes:
      start: begins a sequence.
      delimiter: between two texts.
      extract: ends it; what the model thinks there is what the task's layer sees.
      length: tokens that a sequence has at most.
    """

    start: int
    delimiter: int
    extract: int
    length: int

    @classmethod
    def after(cls, vocab_size: int, length: int) -> Marks:
        """The three tokens that follow those of a vocabulary."""
        return cls(vocab_size, vocab_size + 1, vocab_size + 2, length)

    def classification(self, text: np.ndarray) -> list[np.ndarray]:
        """Lays a text out as: start text extract."""
        return [self._join(text)]

    def entailment(self, premise: np.ndarray, hypothesis: np.ndarray) -> list[np.ndarray]:
        """Lays a pair out as: start premise delimiter hypothesis extract."""
        return [self._join(premise, hypothesis)]

    def similarity(self, a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
        """Lays a pair out in both orders; what the model thinks of them is added up."""
        return [self._join(a, b), self._join(b, a)]

    def multiple_choice(
        self, context: np.ndarray, answers: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Lays each answer out as: start context delimiter answer extract.

        A question is the end of its context.
        """
        return [self._join(context, answer) for answer in answers]

    def _join(self, *texts: np.ndarray) -> np.ndarray:
        """Joins texts; where they are too long, the first loses its beginning.

        The end decides more often.
        """
        room = self.length - 1 - len(texts)
        rest = room - sum(len(text) for text in texts[1:])
        if rest < 1:
            raise UserError(f"{room - rest} tokens leave no room in {self.length}")
        parts = [np.array([self.start], np.int32), texts[0][-rest:]]
        for text in texts[1:]:
            parts += [np.array([self.delimiter], np.int32), text]
        return np.concatenate([*parts, np.array([self.extract], np.int32)]).astype(np.int32)

    def padded(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens `[A, length]`, filled up with `extract`, and each one's last place `[A]`."""
        tokens = np.full((len(sequences), self.length), self.extract, np.int32)
        for row, sequence in zip(tokens, sequences, strict=True):
            row[: len(sequence)] = sequence
        return tokens, np.array([len(sequence) - 1 for sequence in sequences], np.int32)
