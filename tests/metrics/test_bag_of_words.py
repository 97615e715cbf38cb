"""Counts of words against their formulas."""

import numpy as np
from scipy import sparse

from research.metrics.bag_of_words import accuracies, counted, log_count_ratio

TRAIN = ["good film good", "fine film", "bad film", "bad bad dull film"]
LABELS = np.array([1, 1, 0, 0])


def test_ngrams_are_there_or_not():
    seen, unseen = counted(TRAIN, ["film good unheard"], 2, str.split)
    assert seen.max() == 1 and seen[0].sum() == 4  # good, film, good film, film good
    assert unseen.sum() == 3  # good, film, film good


def test_the_ratio_is_wang_and_mannings():
    rng = np.random.default_rng(0)
    counts = (rng.random((20, 6)) < 0.4).astype(float)
    labels = np.arange(20) % 2
    p = 1 + counts[labels == 1].sum(0)
    q = 1 + counts[labels == 0].sum(0)
    expected = np.log((p / np.abs(p).sum()) / (q / np.abs(q).sum()))
    np.testing.assert_allclose(log_count_ratio(sparse.csr_matrix(counts), labels), expected)


def naive_bayes(train, labels, test):
    """Right answers of multinomial naive Bayes on binary counts, word by word."""
    words = sorted({word for text in train for word in text.split()})
    scores = []
    for label in (0, 1):
        own = [text.split() for text, y in zip(train, labels, strict=True) if y == label]
        sums = np.array([1.0 + sum(word in text for text in own) for word in words])
        log_p = dict(zip(words, np.log(sums / sums.sum()), strict=True))
        prior = np.log(len(own) / len(train))
        scores.append([prior + sum(log_p.get(w, 0.0) for w in set(t.split())) for t in test])
    return np.argmax(scores, axis=0)


def test_naive_bayes_is_its_formula():
    rng = np.random.default_rng(1)
    words = np.array("a b c d e f g h".split())
    texts = [" ".join(rng.choice(words, 5)) for _ in range(80)]
    labels = np.array([int("a" in t.split()) ^ int(rng.random() < 0.2) for t in texts])
    found = accuracies(texts[:40], labels[:40], texts[40:], labels[40:], order=1)
    right = naive_bayes(texts[:40], labels[:40], texts[40:]) == labels[40:]
    assert found["naive_bayes"] == 100 * right.mean() and 50 < found["naive_bayes"] < 100


def test_pairs_of_words_know_an_order_of_two_and_single_words_do_not():
    texts, labels = ["x not good y", "y good not x"] * 10, np.array([0, 1] * 10)
    alone, pairs = (accuracies(texts, labels, texts, labels, order=n) for n in (1, 2))
    assert alone["naive_bayes"] == alone["nb_lr"] == 50
    assert pairs["naive_bayes"] == pairs["nb_lr"] == 100
