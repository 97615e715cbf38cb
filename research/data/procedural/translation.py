"""A translation task with a real grammar, made on the spot: English to an invented language.

What the two languages differ in is what makes translation hard, and what attention and positions
are for:

- order: subject verb object becomes subject object verb, adjectives follow their noun (in reverse
  order), prepositions become postpositions, adverbs move to the front, questions begin with the
  verb;
- case: who does what to whom is word order in English, an ending in the other language (nominative,
  accusative, locative);
- gender: three, a property of each noun that English does not show; articles, adjectives, relative
  pronouns and verbs take it from a noun that may be far away, a pronoun from the subject of the
  clause before;
- number: agrees across relative clauses and prepositional phrases;
- tense and negation: auxiliaries become endings and a particle before the verb.

200 English word forms, some 1,050 foreign ones in 20,000 sentences. Every sentence has exactly one
translation, and comes with its parse and its word alignment.
"""

from __future__ import annotations

import dataclasses
import itertools
import random

NOUNS = (
    "dog cat bird horse cow fish girl boy king queen farmer baker doctor teacher singer child "
    "friend wizard house tree river garden bridge tower door table chair book letter song lamp "
    "boat field stone ring crown apple box bell wheel"
).split()
ADJECTIVES = (
    "big small old young red green blue white happy sad quiet clever strange heavy warm brave"
).split()
TRANSITIVE = (
    "watch follow help pull push clean paint lift guard visit remember wash carve admire call move"
).split()
INTRANSITIVE = "wait sleep rest laugh jump walk work listen".split()
ADVERBS = "today yesterday often never slowly quickly again soon".split()
PREPOSITIONS = "near behind under above beside without".split()
DETERMINERS = {False: ("the", "a", "every", "this"), True: ("the", "some", "all", "these")}
IRREGULAR_PLURAL = {"child": "children"}
IRREGULAR_PAST = {"sleep": "slept"}
PRONOUNS = {False: "it", True: "they"}
MAX_WORDS = 24
LEXICON_SEED = 1706  # of the language itself, which is the same for every corpus


@dataclasses.dataclass(frozen=True)
class Sentence:
    """One sentence in both languages.

    Attributes:
      source: words and punctuation separated by blanks.
      target: the same for its translation.
      alignment: (source word, target word) pairs, both counted from 0: which word a target word
        translates. Auxiliaries belong to the verb.
      parse: of the source, in brackets.
    """

    source: str
    target: str
    alignment: tuple[tuple[int, int], ...]
    parse: str


def generate(count: int, seed: int = 0) -> list[Sentence]:
    """`count` different sentences; a longer list of the same seed begins with a shorter one."""
    grammar, rng = _Grammar(), random.Random(seed)
    sentences: dict[str, Sentence] = {}
    while len(sentences) < count:
        sentence = grammar.sentence(rng)
        if sentence.source.count(" ") < MAX_WORDS:
            sentences.setdefault(sentence.source, sentence)
    return list(sentences.values())


@dataclasses.dataclass(frozen=True)
class _Phrase:
    """A phrase in both languages: `target` has (word, positions of the source words it renders)."""

    source: tuple[str, ...] = ()
    target: tuple[tuple[str, tuple[int, ...]], ...] = ()
    parse: str = ""


def _word(label: str, source: str, target: str) -> _Phrase:
    return _Phrase((source,), ((target, (0,)),), f"({label} {source})")


def _combine(label: str, source_order: list[_Phrase], target_order: list[_Phrase]) -> _Phrase:
    """Puts the same phrases into the order of each language."""
    start, offset = {}, 0
    for phrase in source_order:
        start[id(phrase)] = offset
        offset += len(phrase.source)
    target = tuple(
        (word, tuple(start[id(phrase)] + i for i in sources))
        for phrase in target_order
        for word, sources in phrase.target
    )
    words = tuple(word for phrase in source_order for word in phrase.source)
    return _Phrase(words, target, f"({label} {' '.join(p.parse for p in source_order)})")


@dataclasses.dataclass(frozen=True)
class _Agreement:
    """What other words take over from a noun."""

    gender: int
    plural: bool


class _Grammar:
    def __init__(self) -> None:
        rng = random.Random(LEXICON_SEED)
        syllables = [c + v for c in "bdfghklmnprstvz" for v in "aeiou"]
        stems = [a + b + c for a, b in itertools.product(syllables, repeat=2) for c in "klmnrst"]
        words = [*NOUNS, *ADJECTIVES, *TRANSITIVE, *INTRANSITIVE, *ADVERBS, *PREPOSITIONS]
        words += [*DETERMINERS[False], *DETERMINERS[True][1:], "that", "it", "not", "and"]
        self.stem = dict(zip(words, rng.sample(stems, len(words)), strict=True))
        self.gender = {noun: rng.randrange(3) for noun in NOUNS}

        def endings(*sizes: int) -> dict[tuple[int, ...], str]:
            keys = list(itertools.product(*map(range, sizes)))
            shapes = [v + c for v in "aeiou" for c in ("", "s", "n", "m", "sh", "x", "l")]
            return dict(zip(keys, rng.sample(shapes, len(keys)), strict=True))

        # Nouns decline by gender, number and case; so does what agrees with them. Verbs agree with
        # their subject in gender and number, and have a tense.
        self.noun_ending = endings(3, 2, 3)
        self.agreeing_ending = endings(3, 2, 3)
        self.verb_ending = endings(3, 2, 3)

    def sentence(self, rng: random.Random) -> Sentence:
        if rng.random() < 0.25:
            clause = self.question(rng)
            end = _word("?", "?", "?")
        else:
            clause, subject = self.clause(rng)
            if rng.random() < 0.2:
                clause = self.coordination(rng, clause, subject)
            end = _word(".", ".", ".")
        whole = _combine("S", [clause, end], [clause, end])
        alignment = tuple((i, t) for t, (_, sources) in enumerate(whole.target) for i in sources)
        target = " ".join(word for word, _ in whole.target)
        return Sentence(" ".join(whole.source), target, alignment, whole.parse)

    def clause(self, rng: random.Random) -> tuple[_Phrase, _Agreement]:
        """A statement, and what a pronoun for its subject agrees with."""
        subject, agreement = self.noun_phrase(rng, 0, nested=True)
        verb, objects = self.verb_and_objects(rng, agreement)
        adverb = self.adverb(rng)
        return _combine(
            "C", [subject, verb, *objects, *adverb], [*adverb, subject, *objects, verb]
        ), agreement

    def coordination(self, rng: random.Random, first: _Phrase, subject: _Agreement) -> _Phrase:
        """`first` and a second clause whose subject is a pronoun for that of the first."""
        conjunction = _word("Conj", "and", self.stem["and"])
        word = PRONOUNS[subject.plural]
        pronoun = _word("Pron", word, self.agreeing("it", subject, 0))
        verb, objects = self.verb_and_objects(rng, subject)
        second = _combine("C", [pronoun, verb, *objects], [pronoun, *objects, verb])
        return _combine("CC", [first, conjunction, second], [first, conjunction, second])

    def question(self, rng: random.Random) -> _Phrase:
        """do/does/did/will subject verb object?  ->  verb subject object?"""
        subject, agreement = self.noun_phrase(rng, 0, nested=True)
        tense = rng.randrange(3)
        lemma, objects = self.lemma_and_objects(rng)
        auxiliary = ("do" if agreement.plural else "does", "did", "will")[tense]
        # The auxiliary stands before the subject, its verb behind it, and one word renders both.
        distance = 1 + len(subject.source)
        verb = _Phrase((lemma,), (), f"(V {lemma})")
        rendered = ((self.verb_form(lemma, tense, agreement), (0, distance)),)
        front = _Phrase((auxiliary,), rendered, f"(Aux {auxiliary})")
        adverb = self.adverb(rng)
        return _combine(
            "Q", [front, subject, verb, *objects, *adverb], [*adverb, front, subject, *objects]
        )

    def verb_and_objects(
        self, rng: random.Random, agreement: _Agreement
    ) -> tuple[_Phrase, list[_Phrase]]:
        tense = rng.randrange(3)
        lemma, objects = self.lemma_and_objects(rng)
        return self.verb(rng, lemma, tense, agreement), objects

    def lemma_and_objects(self, rng: random.Random) -> tuple[str, list[_Phrase]]:
        if rng.random() < 0.25:
            return rng.choice(INTRANSITIVE), []
        return rng.choice(TRANSITIVE), [self.noun_phrase(rng, 1, nested=True)[0]]

    def verb(self, rng: random.Random, lemma: str, tense: int, agreement: _Agreement) -> _Phrase:
        """A verb with its auxiliaries, as one foreign word, and a particle where it is negated."""
        negated = rng.random() < 0.15
        if negated:
            auxiliary = ("do" if agreement.plural else "does", "did", "will")[tense]
            words: tuple[str, ...] = (auxiliary, "not", lemma)
        elif tense == 2:
            words = ("will", lemma)
        elif tense == 1:
            words = (_past(lemma),)
        else:
            words = (lemma if agreement.plural else _with_s(lemma),)
        form = (
            self.verb_form(lemma, tense, agreement),
            tuple(i for i, word in enumerate(words) if word != "not"),
        )
        target = ((self.stem["not"], (1,)), form) if negated else (form,)
        return _Phrase(words, target, f"(V {' '.join(words)})")

    def noun_phrase(
        self, rng: random.Random, case: int, nested: bool
    ) -> tuple[_Phrase, _Agreement]:
        """Determiner, up to two adjectives, noun; if `nested`, maybe a phrase or clause on it."""
        noun, plural = rng.choice(NOUNS), rng.random() < 0.4
        agreement = _Agreement(self.gender[noun], plural)
        word = rng.choice(DETERMINERS[plural])
        determiner = _word("Det", word, self.agreeing(word, agreement, case))
        count = rng.choices((0, 1, 2), (5, 4, 1))[0]
        adjectives = [
            _word("Adj", word, self.agreeing(word, agreement, case))
            for word in rng.sample(ADJECTIVES, count)
        ]
        ending = self.noun_ending[agreement.gender, plural, case]
        head = _word("N", _plural(noun) if plural else noun, self.stem[noun] + ending)
        attached = []
        if nested:
            kind = rng.random()
            if kind < 0.15:
                attached = [self.prepositional_phrase(rng)]
            elif kind < 0.3:
                attached = [self.relative_clause(rng, agreement)]
        phrase = _combine(
            "NP",
            [determiner, *adjectives, head, *attached],
            [determiner, head, *reversed(adjectives), *attached],
        )
        return phrase, agreement

    def prepositional_phrase(self, rng: random.Random) -> _Phrase:
        word = rng.choice(PREPOSITIONS)
        preposition = _word("P", word, self.stem[word])
        place, _ = self.noun_phrase(rng, 2, nested=False)
        return _combine("PP", [preposition, place], [place, preposition])

    def relative_clause(self, rng: random.Random, head: _Agreement) -> _Phrase:
        pronoun = _word("Rel", "that", self.agreeing("that", head, 0))
        verb = self.verb(rng, rng.choice(TRANSITIVE), rng.randrange(3), head)
        patient, _ = self.noun_phrase(rng, 1, nested=False)
        return _combine("RC", [pronoun, verb, patient], [pronoun, patient, verb])

    def adverb(self, rng: random.Random) -> list[_Phrase]:
        if rng.random() > 0.3:
            return []
        word = rng.choice(ADVERBS)
        return [_word("Adv", word, self.stem[word])]

    def agreeing(self, word: str, agreement: _Agreement, case: int) -> str:
        return self.stem[word] + self.agreeing_ending[agreement.gender, agreement.plural, case]

    def verb_form(self, lemma: str, tense: int, agreement: _Agreement) -> str:
        return self.stem[lemma] + self.verb_ending[agreement.gender, agreement.plural, tense]


def _with_s(word: str) -> str:
    """Plural of a noun, third person of a verb."""
    return word + ("es" if word.endswith(("ch", "sh", "x")) else "s")


def _plural(noun: str) -> str:
    return IRREGULAR_PLURAL.get(noun) or _with_s(noun)


def _past(verb: str) -> str:
    return IRREGULAR_PAST.get(verb) or verb + ("d" if verb.endswith("e") else "ed")
