"""SQuAD's scores by hand and by brute force, and entities as CoNLL counts them."""

import itertools

import pytest

from research.metrics.text_spans import (
    answer_f1,
    entities,
    entity_f1,
    exact_match,
    normalized,
    squad,
)


def test_articles_case_and_punctuation_do_not_count():
    assert normalized("The  U.S. Navy's an-chor!") == "us navys anchor"
    assert exact_match("a Cat.", ["dog", "the cat"]) == 1.0
    assert exact_match("cats", ["cat"]) == 0.0


def test_f1_by_hand():
    # One of two words found, and it is one of three: 2 * 1/2 * 1/3 / (1/2 + 1/3).
    assert answer_f1("new york", ["york is large"]) == pytest.approx(0.4)
    assert answer_f1("york york", ["york"]) == pytest.approx(2 / 3)
    assert answer_f1("york", ["paris", "york"]) == 1.0
    assert answer_f1("", [""]) == 1.0 and answer_f1("york", [""]) == 0.0
    assert answer_f1("the", ["a"]) == 1.0  # nothing is left of either


def test_f1_by_matching_words_one_to_one():
    vocabulary = ["x", "y", "z"]
    texts = [t for n in (1, 2, 3) for t in itertools.product(vocabulary, repeat=n)]
    for found, right in itertools.product(texts, texts):
        rest, hits = list(right), 0
        for word in found:
            if word in rest:
                rest.remove(word)
                hits += 1
        precision, recall = hits / len(found), hits / len(right)
        expected = 2 * precision * recall / (precision + recall) if hits else 0.0
        assert answer_f1(" ".join(found), [" ".join(right)]) == pytest.approx(expected)


def test_scores_are_means_in_percent():
    scores = squad(["a cat", "new york"], [["cat"], ["york is large"]])
    assert scores == {"exact_match": 50.0, "f1": pytest.approx(70.0)}


def test_entities():
    tags = ["B-x", "I-x", "I-y", "O", "B-y", "B-y", "I-x"]
    assert entities(tags) == {("x", 0, 2), ("y", 2, 3), ("y", 4, 5), ("y", 5, 6), ("x", 6, 7)}
    assert entities(["O", "O"]) == set()


def test_entity_f1_counts_whole_entities_of_all_texts():
    found = [["B-x", "I-x", "O"], ["B-y"]]
    right = [["B-x", "O", "O"], ["B-y"]]
    assert entity_f1(found, right) == pytest.approx(50.0)
    assert entity_f1(right, right) == 100.0 and entity_f1([["O"]], [["O"]]) == 100.0
