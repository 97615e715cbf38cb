"""The procedural language: its grammar is checked from outside, through alignments and words."""

from collections import Counter, defaultdict

import pytest

from research.data.procedural.translation import ADVERBS, DETERMINERS, NOUNS, generate


@pytest.fixture(scope="module")
def sentences():
    return generate(4000)


def words(sentence):
    return sentence.source.split(), sentence.target.split()


def test_is_deterministic_extends_and_repeats_nothing(sentences):
    assert generate(100) == sentences[:100]
    assert generate(100, seed=1) != sentences[:100]
    assert len({s.source for s in sentences}) == len(sentences)


def test_a_few_hundred_words_and_moderate_lengths(sentences):
    vocabulary = {word for s in sentences for word in words(s)[0]}
    assert 150 < len(vocabulary) < 400
    assert max(len(words(s)[0]) for s in sentences) <= 24


def test_every_word_is_aligned_and_parsed(sentences):
    for s in sentences:
        source, target = words(s)
        assert {t for _, t in s.alignment} == set(range(len(target)))
        assert {i for i, _ in s.alignment} == set(range(len(source)))
        leaves = [w.strip("()") for w in s.parse.split() if not w.startswith("(")]
        assert leaves == source
        assert s.parse.count("(") == s.parse.count(")")


def test_statements_end_and_questions_begin_with_the_verb(sentences):
    for s in sentences:
        source, target = words(s)
        if source[-1] == "?":  # an adverb may stand before it
            first = next(t for t in range(len(target)) if not is_adverb(s, t))
            assert (0, first) in s.alignment  # the auxiliary, which opens the English question
        elif "and" not in source:
            verbs = [i for i, t in s.alignment if t == len(target) - 2]
            assert not {source[i] for i in verbs} & set(NOUNS)


def is_adverb(s, t):
    source, _ = words(s)
    return any(source[i] in ADVERBS for i, target in s.alignment if target == t)


def test_adjectives_follow_nouns_in_reverse(sentences):
    two = 0
    for s in sentences:
        source, _ = words(s)
        where = dict(s.alignment)
        for i, word in enumerate(source[:-1]):
            if word in ("big", "old", "red") and source[i + 1] in NOUNS:
                assert where[i] == where[i + 1] + 1
            if word in ("big", "old") and source[i + 1] in ("red", "green"):
                assert where[i] == where[i + 1] + 1
                two += 1
    assert two > 5


def rendered(sentences, word):
    """How often each foreign word renders an English one."""
    forms = Counter()
    for s in sentences:
        source, target = words(s)
        forms.update(target[t] for i, t in s.alignment if source[i] == word)
    return forms


def test_articles_show_gender_number_and_case(sentences):
    assert len(rendered(sentences, "the")) == 18  # 3 genders x 2 numbers x 3 cases
    assert len(rendered(sentences, "every")) == 9
    assert len(rendered(sentences, "today")) == 1


def test_agreement_is_a_function_of_the_noun_and_its_form(sentences):
    """Which article goes with a noun's foreign form is settled: gender is the noun's own."""
    articles = defaultdict(set)
    for s in sentences:
        source, target = words(s)
        where = dict(s.alignment)
        for i, word in enumerate(source[:-1]):
            if word == "the" and source[i + 1] in NOUNS:
                articles[target[where[i + 1]]].add(target[where[i]])
    assert len(articles) > 80
    assert all(len(forms) == 1 for forms in articles.values())


def test_word_order_decides_case(sentences):
    """A noun has one form before the verb and another after it, and English shows neither."""
    forms = defaultdict(lambda: (set(), set()))
    for s in sentences:
        source, target = words(s)
        if len(source) == 6 and {source[1], source[4]} <= set(NOUNS):
            where = dict(s.alignment)
            for role, i in enumerate((1, 4)):
                forms[source[i]][role].add(target[where[i]])
    both = [roles for roles in forms.values() if all(roles)]
    assert len(both) >= 5
    assert all(not subject & object_ for subject, object_ in both)


def test_verbs_agree_across_a_distance(sentences):
    far = 0
    for s in sentences:
        source, _ = words(s)
        if "that" in source and source[-1] == "." and source[0] in DETERMINERS[True][2:]:
            far += source[1:].index("that") > 0
    assert far > 20  # a relative clause between a plural subject and its verb
