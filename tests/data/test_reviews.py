"""Procedural reviews: their words say what the ground truth says, and counts of them do not."""

import itertools

import numpy as np

from research.data.procedural import reviews
from research.data.procedural.reviews import CONSEQUENCES, NEGATIONS, NEGATIVE, POSITIVE

COUNT = 2000
POLAR = {**dict.fromkeys(POSITIVE, True), **dict.fromkeys(NEGATIVE, False)}


def read(text):
    """Polarities of the opinions of a review, from its words alone."""
    found = []
    for sentence in text.split(" . "):
        for clause in " ".join(sentence.split()).replace(" but ", " and ").split(" and "):
            words = clause.split()
            polar = [POLAR[word] for word in words if word in POLAR]
            if polar:
                assert len(polar) == 1
                found.append(polar[0] != any(word in NEGATIONS for word in words))
    return found


def test_labels_follow_from_the_words():
    for review in reviews.generate(COUNT):
        assert read(review.text) == [opinion.positive for opinion in review.opinions]
        assert review.label == review.opinions[-1].positive


def test_the_ground_truth_has_the_places_of_the_words():
    turned = 0
    for review in reviews.generate(COUNT):
        words = review.text.split()
        assert len(words) <= reviews.MAX_WORDS
        for opinion in review.opinions:
            positive = POLAR[words[opinion.polar]]
            assert opinion.positive == (positive != (opinion.negation >= 0))
            if opinion.negation >= 0:
                turned += 1
                assert words[opinion.negation] in NEGATIONS and opinion.negation < opinion.polar
        for one, other in itertools.pairwise(review.opinions):
            assert other.conjunction in words[one.polar : other.polar]
            assert (one.positive != other.positive) == (other.conjunction == "but")
    assert turned > COUNT / 3


def test_reviews_differ_and_a_longer_list_begins_with_a_shorter_one():
    made = reviews.generate(COUNT)
    assert len({review.text for review in made}) == COUNT
    assert reviews.generate(50) == made[:50] and reviews.generate(50, seed=1) != made[:50]
    assert abs(np.mean([review.label for review in made]) - 0.5) < 0.03


def test_no_word_says_much_of_the_label():
    """Polar words are bent coins, consequences and conjunctions are fair ones."""
    made = reviews.generate(COUNT)
    labels = np.array([review.label for review in made])
    words = [set(review.text.split()) for review in made]
    for word in POLAR:
        among = labels[[word in own for own in words]]
        assert len(among) > 20 and 0.2 < among.mean() < 0.8
    consequences = {word for said in CONSEQUENCES.values() for c in said for word in c.split()}
    for word in (*NEGATIONS, *consequences, "but", "and"):
        assert abs(labels[[word in own for own in words]].mean() - 0.5) < 0.1


def test_consequences_agree_with_the_opinion_before_them():
    said = 0
    for review in reviews.generate(COUNT):
        words = review.text.split()
        for one, other in itertools.pairwise(review.opinions):
            between = " ".join(words[one.polar + 1 : other.polar])
            for positive, consequences in CONSEQUENCES.items():
                if any(between.startswith(c) for c in consequences):
                    assert positive == one.positive
                    said += 1
        assert not any(c in " ".join(words[review.opinions[-1].polar :]) for c in LAST)
    assert said > COUNT


LAST = [c for consequences in CONSEQUENCES.values() for c in consequences]


def test_asides_have_negations_that_turn_nothing():
    alone = [r for r in reviews.generate(COUNT) if any(w in NEGATIONS for w in r.text.split())]
    idle = [r for r in alone if all(opinion.negation < 0 for opinion in r.opinions)]
    assert len(idle) > COUNT / 40
