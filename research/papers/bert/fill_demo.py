"""Hidden words of a sentence, guessed: what a trained BERT does for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from research.core.errors import UserError
from research.data.text.segment_pairs import laid_out
from research.data.text.wordpiece import MASK, WordPiece
from research.papers.bert.documents import sentences_of
from research.report.demo import Demo, Number, Probabilities, Text

# Tokens [N], segments [N] and positions [P] to probabilities [P, V].
Guess = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
SHOWN = 5


def with_masks(text: str, vocabulary: WordPiece) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and segments of a text in which "[MASK]" stands for a piece that is not known.

    The first sentence is one segment, what follows the other one, as in pre-training.

    Raises:
      UserError: nothing is masked.
    """
    if MASK not in text:
        raise UserError(f"write {MASK} in place of a word that is to be guessed")
    first, *rest = sentences_of(text)

    def ids(part: str) -> np.ndarray:
        pieces = [vocabulary.encode(words) for words in part.split(MASK)]
        mask = np.array([vocabulary.mask], np.int32)
        return np.concatenate([x for piece in pieces for x in (piece, mask)][:-1])

    return laid_out(ids(first), ids(" ".join(rest)), vocabulary.cls, vocabulary.sep)


def fill(
    tokens: np.ndarray, segments: np.ndarray, guess: Guess, vocabulary: WordPiece
) -> tuple[np.ndarray, np.ndarray]:
    """Puts words in place of all masks, that first which the model is surest of.

    After each the model is asked again, for a word that is known tells of the others.

    Returns:
      The tokens without masks, and the first probabilities `[masks, V]`, when none was filled.
    """
    tokens = tokens.copy()
    first = None
    while len(places := np.flatnonzero(tokens == vocabulary.mask)):
        probabilities = np.array(guess(tokens, segments, places))
        probabilities[:, vocabulary.special] = 0.0  # no word
        first = probabilities if first is None else first
        surest, word = np.unravel_index(np.argmax(probabilities), probabilities.shape)
        tokens[places[surest]] = word
    assert first is not None
    return tokens, first


def fill_demo(guess: Guess, vocabulary: WordPiece, length: int, examples: Sequence[str]) -> Demo:
    """A demo of a model that guesses hidden words.

    Args:
      guess: the model.
      vocabulary: of its pieces.
      length: tokens that it can see at once.
      examples: texts with "[MASK]" in them; the first is the default.
    """

    def run(text: str, which: int) -> dict[str, object]:
        tokens, segments = with_masks(text, vocabulary)
        if len(tokens) > length:
            raise UserError(f"{len(tokens)} tokens do not fit; {length} do")
        masks = int(np.sum(tokens == vocabulary.mask))
        if which > masks:
            raise UserError(f"the text has {masks} {MASK}; there is no number {which}")
        filled, first = fill(tokens, segments, guess, vocabulary)
        words = np.argsort(-first[which - 1], kind="stable")[:SHOWN]
        seen = filled[~np.isin(filled, (vocabulary.cls, vocabulary.sep))]
        return {
            "filled": vocabulary.decode(seen),
            "words": {vocabulary.piece(int(i)): float(first[which - 1][i]) for i in words},
        }

    return Demo(
        title="Guess the hidden words",
        says=f"The model sees both sides of every {MASK}. The words with their probabilities are "
        "those that it thinks of first; in the text it fills in what it is surest of, and thinks "
        "again.",
        inputs={
            "text": Text(f"a text with {MASK} in it", examples[0], lines=3),
            "which": Number(f"which {MASK} the probabilities are of", 1, 1, 50),
        },
        outputs={
            "filled": Text("the whole text", lines=3),
            "words": Probabilities("the likeliest words"),
        },
        run=run,
        examples=[{"text": text, "which": 1} for text in examples],
    )
