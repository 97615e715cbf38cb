"""Measures what a model learns within one document of the key-label task, in two ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from research.metrics.few_shot import Prompts, Query, accuracy
from research.papers.gpt.key_labels import KeyLabels

# rows [N, T + 1] -> nats, and whether the likeliest token is the right one, of rows[:, 1:].
Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def accuracy_by_shot(
    predict: Predict, task: KeyLabels, documents: int, max_shots: int
) -> dict[str, float]:
    """Measures accuracy on labels whose key came 0 ... `max_shots` times before in its document."""
    rows = np.stack([task[i] for i in range(documents)])
    right, shots = predict(rows)[1][:, 1::2], task.earlier(rows)
    return {f"shot_{n}": float(np.mean(right[shots == n])) for n in range(max_shots + 1)}


def accuracy_of_prompts(
    predict: Predict, task: KeyLabels, shots: Sequence[int], queries: int, draws: int
) -> dict[str, float]:
    """Measures accuracy on multiple choice with K solved examples in the prompt, over drawings.

    The query is a document's last pair, the examples are drawn from the pairs before.
    """

    def log_probs(rows: np.ndarray) -> np.ndarray:
        return -predict(rows)[0]

    prompts = Prompts(
        task.encode, 1 + 2 * task.pairs, separator="", begin=(task.keys + task.labels,)
    )
    labels = tuple(task.names(np.arange(task.keys, task.keys + task.labels)))

    def query(index: int) -> Query:
        text = task.names(task[index][1:])
        pool = [(text[i], text[i + 1]) for i in range(0, len(text) - 2, 2)]
        return Query(text[-2], labels, labels.index(text[-1]), pool)

    asked = [query(i) for i in range(queries)]
    return {
        f"k_{n}": float(np.mean(accuracy(log_probs, prompts, asked, n, draws, task.seed)))
        for n in shots
    }
