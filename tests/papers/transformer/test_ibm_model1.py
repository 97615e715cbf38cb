"""IBM Model 1 finds the dictionary of a language that it does not know."""

import random
from collections import Counter

from research.data.procedural.translation import generate
from research.papers.transformer import ibm_model1

E_WORDS = "red green blue dog cat house sees likes the a".split()


def test_recovers_a_word_for_word_cipher_in_any_order():
    rng, cipher, pairs = random.Random(0), {w: w[::-1] + "x" for w in E_WORDS}, []
    for _ in range(300):
        source = rng.sample(E_WORDS, 5)
        target = [cipher[w] for w in source]
        rng.shuffle(target)
        pairs.append((" ".join(source), " ".join(target)))
    dictionary = ibm_model1.fit(pairs)
    assert dictionary == cipher
    assert ibm_model1.translate(dictionary, "the dog sees Bob.") == "ehtx godx seesx Bob ."


def test_likelihood_never_falls():
    """What EM promises: expected counts put ever more weight on the right pairs."""
    sentences = generate(1500)
    pairs = [(s.source, s.target) for s in sentences]
    gold: dict[str, Counter] = {}
    for s in sentences:
        source, target = s.source.split(), s.target.split()
        for i, t in s.alignment:
            gold.setdefault(source[i], Counter())[target[t]] += 1

    def share(iterations):
        found = ibm_model1.fit(pairs, iterations)
        return sum(found[w] in gold[w] for w in found if w in gold) / len(found)

    assert share(8) > share(1)
    assert share(8) > 0.85
