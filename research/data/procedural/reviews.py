"""Reviews of films in which counting words says little, made on the spot.

A review is a few opinions joined by "and" or "but", perhaps with asides before and after them:

- an opinion has one polar word, which a negation before it in the same opinion turns: "the plot is
  not at all good", "nobody would call the plot dull";
- opinions joined by "and" agree, those joined by "but" differ, and the last one is the verdict;
- an opinion that is not the last is mostly followed by a consequence, "which i enjoyed": it says
  nothing of the verdict, for "and" and "but" are equally frequent, but it lets a reader without
  labels find out which words are of one kind, and what a negation does;
- asides have negations too, but nothing to turn: "i did not see it in town".

So a polar word says of itself as much as a bent coin, while a reader that follows the scope of
negations and knows which opinion is the last is always right.
"""

from __future__ import annotations

import dataclasses
import random

POSITIVE = "good great superb clever warm funny moving charming fresh gripping witty tender".split()
NEGATIVE = "bad poor dull awful stupid boring flat terrible tedious stale clumsy bland".split()
SUBJECTS = (
    "plot acting music ending script cast story camera pace dialogue direction opening"
).split()
VERBS = "is was seems looks feels".split()
DEGREES = ("", "very", "quite", "really", "so", "rather", "truly", "in the end", "to my mind")
AFTER_NOT = ("", "at all", "really", "very", "exactly", "even", "what i would call")
PEOPLE = ("my sister", "my brother", "a friend", "two colleagues", "the children")
PLACES = "town paris june winter class berlin".split()
# What follows an opinion that is not the last, by what it says in the end.
CONSEQUENCES = {
    True: ("which i enjoyed", "which helps a lot", "so i stayed"),
    False: ("which i regret", "which spoils a lot", "so i left"),
}
NEGATIONS = ("not", "never", "nobody", "hardly")
MAX_WORDS = 40
NEGATED_SHARE, CONSEQUENCE_SHARE = 0.25, 0.9


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What is said of one part of a film; places count the words of the review from 0.

    Attributes:
      polar: place of the polar word.
      negation: place of the word that turns it; -1 where none does.
      positive: what is said in the end.
      conjunction: "and" or "but" before it; "" for the first.
    """

    polar: int
    negation: int
    positive: bool
    conjunction: str


@dataclasses.dataclass(frozen=True)
class Review:
    """A review.

    Attributes:
      text: words and punctuation separated by blanks.
      label: 1 for a positive verdict, 0 for a negative one.
      opinions: in order; the last one is the verdict.
    """

    text: str
    label: int
    opinions: tuple[Opinion, ...]


def generate(count: int, seed: int = 0) -> list[Review]:
    """`count` different reviews; a longer list of the same seed begins with a shorter one."""
    rng = random.Random(seed)
    reviews: dict[str, Review] = {}
    while len(reviews) < count:
        review = _review(rng)
        if len(review.text.split()) <= MAX_WORDS:
            reviews.setdefault(review.text, review)
    return list(reviews.values())


def _review(rng: random.Random) -> Review:
    words: list[str] = []
    if rng.random() < 0.2:
        words += [*_aside(rng), "."]
    positive = rng.random() < 0.5
    opinions: list[Opinion] = []
    for index in range(rng.choices((1, 2, 3), (1, 4, 4))[0]):
        conjunction = ""
        if index:
            if rng.random() < CONSEQUENCE_SHARE:
                words += rng.choice(CONSEQUENCES[positive]).split()
            conjunction = rng.choice(("and", "but"))
            positive ^= conjunction == "but"
            words.append(conjunction)
        said, polar, negation = _opinion(rng, positive)
        start = len(words)
        opinions.append(
            Opinion(start + polar, start + negation if negation >= 0 else -1, positive, conjunction)
        )
        words += said
    words.append(".")
    if rng.random() < 0.3:
        words += [*_aside(rng), "."]
    return Review(" ".join(words), int(positive), tuple(opinions))


def _opinion(rng: random.Random, positive: bool) -> tuple[list[str], int, int]:
    """The words of an opinion, and the places of its polar word and of its negation, or -1."""
    subject, verb, degree = rng.choice(SUBJECTS), rng.choice(VERBS), rng.choice(DEGREES)
    negated = rng.random() < NEGATED_SHARE
    if negated:
        after_not = rng.choice(AFTER_NOT)
        before = rng.choice(
            (
                f"the {subject} {verb} not {after_not}",
                f"i never found the {subject} {degree}",
                f"nobody would call the {subject} {degree}",
                f"the {subject} {verb} hardly {degree}",
            )
        )
    else:
        before = rng.choice(
            (
                f"the {subject} {verb} {degree}",
                f"i found the {subject} {degree}",
                f"everybody would call the {subject} {degree}",
            )
        )
    words = before.split()
    negation = next((i for i, word in enumerate(words) if word in NEGATIONS), -1)
    return [*words, rng.choice(POSITIVE if positive != negated else NEGATIVE)], len(words), negation


def _aside(rng: random.Random) -> list[str]:
    """A sentence that is no opinion; half of them have a negation."""
    subject, person, place = rng.choice(SUBJECTS), rng.choice(PEOPLE), rng.choice(PLACES)
    return rng.choice(
        (
            f"i saw it in {place} with {person}",
            f"{person} had told me about the {subject}",
            f"it was shown in {place} again",
            f"i did not see it in {place} with {person}",
            f"{person} never spoke of the {subject}",
            f"nobody had told {person} about the {subject}",
        )
    ).split()
