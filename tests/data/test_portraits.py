"""Stories say what they are asked for, and labels follow from their words."""

import pytest

from research.data.procedural import portraits
from research.metrics.text_spans import entities

STORIES = portraits.generate(300)


def test_facts_stand_in_several_sentences():
    for story in STORIES:
        assert len(story.sentences) == len(set(story.sentences)) == 9
        for fact in ("name", "city", "animal", "job", "food", "place"):
            where = [s for s in story.sentences if f" {story.facts[fact]} " in f" {s} "]
            assert len(where) >= 2, fact


def test_adjectives_and_deeds_are_of_one_kind():
    for story in STORIES:
        words = set(story.text.split())
        own, other = (portraits.KIND, portraits.UNKIND)[:: 1 if story.kind else -1]
        assert words & set(own) and not words & set(other)
        assert words & set(portraits.DEEDS[story.kind])
        assert not words & set(portraits.DEEDS[not story.kind])
    assert not set(portraits.KIND) & set(portraits.UNKIND)


def test_judgements_have_one_polar_word_and_no_deed():
    deeds = {deed for both in portraits.DEEDS.values() for deed in both}
    found = portraits.judgements(200)
    assert sum(label for _, label in found) == 100
    for text, label in found:
        words = set(text.split())
        assert len(words & set(portraits.KIND)) == label
        assert len(words & set(portraits.UNKIND)) == 1 - label
        assert not words & deeds


def test_answers_stand_where_they_are_said_to():
    for question in portraits.questions(300):
        end = question.start + len(question.answer)
        assert question.context[question.start : end] == question.answer
        assert f" {question.answer} " in f" {question.context} "
        assert question.answer not in question.question


def test_tags_are_those_of_the_words():
    for story in STORIES[:50]:
        for sentence, tags in zip(story.sentences, story.tags, strict=True):
            words = sentence.split()
            assert len(words) == len(tags)
            for kind, (start, end) in ((k, span) for k, *span in entities(tags)):
                field = {name: field for field, name in portraits.TAGS.items()}[kind]
                assert " ".join(words[start:end]) == story.facts[field]
            assert (story.facts["name"] in words) == ("B-PER" in tags)


def test_a_word_goes_before_each_thing_and_before_no_other():
    things = [t for setting in portraits.SETTINGS for some in setting.values() for t in some]
    before, names = zip(*(thing.split() for thing in things), strict=True)
    assert len(set(before)) == len(set(names)) == len(things) == 60


@pytest.mark.parametrize("make", [portraits.generate, portraits.judgements, portraits.questions])
def test_what_is_made_is_a_function_of_the_seed(make):
    assert make(5, 3) == make(9, 3)[:5] != make(5, 4)
