"""Words and answers that were learned: what a run with questions in words keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from research.core.errors import UserError, quoted

_FILE = "words.json"
_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation."""
    return _WORD.findall(text.lower())


class QuestionWords:
    """Words, of which 0 is none, and answers, read off training texts when they are first needed.

    Args:
      read: gives training texts and their answers.
      vocab_size: room that the network has for words, "none" among them.
      num_answers: and for answers.
    """

    def __init__(
        self,
        read: Callable[[], tuple[Iterable[str], Iterable[str]]],
        vocab_size: int,
        num_answers: int,
    ):
        self.read, self.vocab_size, self.num_answers = read, vocab_size, num_answers
        self._words: dict[str, int] = {}
        self._answers: dict[str, int] = {}

    @property
    def words(self) -> dict[str, int]:
        """Word -> its number, from 1 on."""
        self._learn()
        return self._words

    @property
    def answers(self) -> list[str]:
        """Answers in the order of their numbers."""
        self._learn()
        return list(self._answers)

    def _learn(self) -> None:
        if self._words:
            return
        texts, answers = self.read()
        found = sorted({word for text in texts for word in words_of(text)})
        self._take(found, sorted(set(answers)))

    def _take(self, words: Iterable[str], answers: Iterable[str]) -> None:
        numbered = {word: i for i, word in enumerate(words, 1)}
        for key, count, room in (
            ("vocab_size", len(numbered) + 1, self.vocab_size),
            ("num_answers", len(set(answers)), self.num_answers),
        ):
            if count > room:
                raise UserError(
                    f"the training texts need {count}, model.{key} has room for {room}; set "
                    f"--config.model.{key}={count}"
                )
        self._words = numbered
        self._answers = {answer: i for i, answer in enumerate(answers)}

    def encode(self, text: str, length: int, key: str) -> np.ndarray:
        """Numbers of a text's words, 0 after the last: int32 `[length]`.

        Raises:
          UserError: a word that was not learned, no word, or more than `length`, the value of the
            configuration's `key`.
        """
        found = words_of(text)
        unknown = [word for word in found if word not in self.words]
        if unknown:
            raise UserError(
                f"the word {quoted(unknown[0])} of {quoted(text)} is not one of the "
                f"{len(self.words)} that were learned"
            )
        if not found:
            raise UserError(f"{quoted(text)} has no word")
        if len(found) > length:
            raise UserError(
                f"{quoted(text)} has {len(found)} words, {length} are read; set "
                f"--config.{key}={len(found)}"
            )
        ids = np.zeros(length, np.int32)
        ids[: len(found)] = [self.words[word] for word in found]
        return ids

    def label(self, answer: str) -> int:
        """The number of an answer; -1 for one that was not learned, which is never right."""
        self._learn()
        return self._answers.get(answer, -1)

    def to_files(self) -> dict[str, bytes]:
        """For `Experiment.assets`."""
        kept = {"words": list(self.words), "answers": self.answers}
        return {_FILE: json.dumps(kept, indent=1).encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes what a run has kept; no text is read for it."""
        kept = json.loads(files[_FILE])
        self._take(kept["words"], kept["answers"])
