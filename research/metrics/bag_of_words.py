"""What counts of words and word pairs say of a text: the floor for everything that reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

Texts = Sequence[str]


def counted(train: Texts, test: Texts, order: int, words: Callable[[str], list[str]]) -> Any:
    """Which n-grams of `train`, of 1 to `order` words, are in each text: two sparse matrices.

    Args:
      train, test: texts.
      order: words of the longest n-gram.
      words: the words of a text.
    """
    vectorizer = CountVectorizer(
        tokenizer=words, token_pattern=None, lowercase=True, ngram_range=(1, order), binary=True
    )
    return vectorizer.fit_transform(train), vectorizer.transform(test)


def log_count_ratio(counts: Any, labels: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """r = log((p / |p|) / (q / |q|)) `[V]` (Wang and Manning, 2012, section 2).

    p and q are alpha and the sums of rows with label 1 and with label 0 of `counts [N, V]`.
    """
    sums = [
        alpha + np.asarray(counts[np.flatnonzero(labels == label)].sum(0)).ravel()
        for label in (1, 0)
    ]
    p, q = (part / part.sum() for part in sums)
    return np.log(p / q)


def accuracies(
    train: Texts,
    train_labels: np.ndarray,
    test: Texts,
    test_labels: np.ndarray,
    *,
    order: int,
    words: Callable[[str], list[str]] = str.split,
) -> dict[str, float]:
    """Accuracies in percent of classifiers that know n-grams of 1 to `order` words.

    "naive_bayes" is the multinomial one of which n-grams there are; "nb_lr" is logistic regression
    on the same times `log_count_ratio`, the strong rival of Wang and Manning (theirs is an SVM).
    Labels are 0 and 1.
    """
    seen, unseen = counted(train, test, order, words)
    bayes = MultinomialNB(alpha=1.0).fit(seen, train_labels)
    ratio = log_count_ratio(seen, train_labels)
    weighted, other = seen.multiply(ratio).tocsr(), unseen.multiply(ratio).tocsr()
    regression = LogisticRegression(C=1.0, max_iter=1000).fit(weighted, train_labels)
    return {
        "naive_bayes": 100.0 * float(bayes.score(unseen, test_labels)),
        "nb_lr": 100.0 * float(regression.score(other, test_labels)),
    }
