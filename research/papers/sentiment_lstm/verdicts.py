"""What a classifier thinks of a text after each of its words, as pictures and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from research.core.errors import UserError
from research.data.text.labelled import LabelledTexts
from research.data.text.length_batches import padded
from research.data.text.tokenization import UNK
from research.report.demo import Demo, Image, Probabilities, Text
from research.viz import coloured_text

NAMES = ("negative", "positive")
LONGEST = 256  # words of a text that are shown; of a longer one the last
_BAR = 20  # characters of a probability of 1

# Of batches as `padded` makes them: probabilities `[N, 2]`, and what each word counts for `[N, T]`.
Answer = Callable[[dict[str, np.ndarray]], tuple[Any, Any]]


class Verdicts(NamedTuple):
    """What is thought of a text.

    Attributes:
      words: n words.
      known: `[n]` bool, whether the vocabulary has them.
      positive: `[n]`, the probability of "positive" after each of them.
      weights: `[n]`, what each counts for in the last verdict.
    """

    words: list[str]
    known: np.ndarray
    positive: np.ndarray
    weights: np.ndarray


def verdicts(answer: Answer, texts: LabelledTexts, text: str) -> Verdicts:
    """Judges every beginning of a text as a text of its own.

    So they are what any network thinks, one that reads both ways too.

    Raises:
      UserError: the text has no word that the network knows.
    """
    words, tokens = texts.words(text)[-LONGEST:], texts.encode(text)[-LONGEST:]
    if not words or np.all(tokens == UNK):
        raise UserError("write at least one word of those that the network has learned from")
    count = len(tokens)
    size = -(-count // 16) * 16  # few shapes are compiled
    beginnings = [{"tokens": tokens[: i + 1]} for i in range(count)]
    beginnings += beginnings[-1:] * (size - count)
    probabilities, weights = answer(padded(beginnings, size))
    return Verdicts(
        words, tokens != UNK, np.asarray(probabilities)[:count, 1], np.asarray(weights)[-1, :count]
    )


def panels(found: Verdicts) -> list[coloured_text.Panel]:
    """A text coloured by the verdict after each word, and where the network pools its states, by
    what each word counts for."""
    text = " ".join(found.words)
    shares = found.weights / max(found.weights.max(), 1e-9)
    final = found.positive[-1]
    verdict = f"{NAMES[int(final >= 0.5)]}, {max(final, 1 - final):.0%}"
    running = _by_word(found, 2 * found.positive - 1)
    drawn = [coloured_text.Panel(f"after each word (in the end {verdict})", text, running)]
    if found.weights.max() < 0.999:  # else it is all the last word's, of which nothing is to see
        drawn.append(
            coloured_text.Panel("what each word counts for", text, _by_word(found, shares))
        )
    return drawn


def _by_word(found: Verdicts, values: np.ndarray) -> np.ndarray:
    """A number for each character of the text; the blank after a word has the word's."""
    sizes = [len(word) + 1 for word in found.words]
    return np.repeat(values, sizes)[:-1]


def in_lines(found: Verdicts) -> str:
    """A line for each word: the probability of "positive" after it, as a bar and in percent."""
    rows = zip(found.words, found.known, found.positive, strict=True)
    return "\n".join(
        f"{'#' * round(_BAR * p):{_BAR}} {p:4.0%}  {word}{'' if known else '  (unknown)'}"
        for word, known, p in rows
    )


def judge_demo(answer: Answer, texts: LabelledTexts, examples: Sequence[str]) -> Demo:
    """A demo that judges what a person has written, word by word.

    Args:
      answer: of the trained network.
      texts: whose vocabulary it has.
      examples: sentences to try; the first is the default.
    """

    def run(text: str) -> dict[str, Any]:
        found = verdicts(answer, texts, text)
        last = float(found.positive[-1])
        return {
            "verdict": {"positive": last, "negative": 1.0 - last},
            "words": in_lines(found),
            "picture": coloured_text.draw(panels(found)),
        }

    return Demo(
        title="Judge a review",
        says="A recurrent network reads your review word by word and says whether it is positive. "
        "You see what it thinks after each word: red is negative, blue positive.",
        inputs={"text": Text("Review", examples[0], lines=3)},
        outputs={
            "verdict": Probabilities("Verdict"),
            "words": Text("Positive, after each word", lines=8),
            "picture": Image("The text, coloured"),
        },
        run=run,
        examples=[{"text": text} for text in examples],
    )
