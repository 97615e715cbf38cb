"""What is reported of a task of texts: accuracy, and the scores that GLUE and CoNLL have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from research.metrics.text_spans import entity_f1
from research.papers.bert.tasks import UNTAGGED, TextTask


def text_scores(task: TextTask, logits: np.ndarray, rows: Sequence[Any]) -> dict[str, float]:
    """Scores in percent.

    "accuracy" of classes or tags; of two classes "f1" of the second one and "matthews" as well, of
    tags "f1" of entities. Of a label that is a number "spearman", the rank correlation.

    Args:
      task: what the logits are of.
      logits: `[N, C]`, or `[N, T, C]` of tags.
      rows: with their "label".
    """
    labels = np.stack([row["label"] for row in rows])
    if task.form.kind == "tagging":
        return _tag_scores(task.names, np.argmax(logits, axis=-1), labels)
    if not task.names:
        from scipy import stats  # half a second

        return {"spearman": 100.0 * float(stats.spearmanr(logits[:, 0], labels).statistic)}
    found = np.argmax(logits, axis=-1)
    scores = {"accuracy": 100.0 * float(np.mean(found == labels))}
    if len(task.names) == 2:
        from sklearn import metrics

        scores["f1"] = 100.0 * float(metrics.f1_score(labels, found, zero_division=0.0))
        scores["matthews"] = 100.0 * float(metrics.matthews_corrcoef(labels, found))
    return scores


def _tag_scores(names: Sequence[str], found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    tagged = labels != UNTAGGED
    spoken = [[names[i] for i in row[mask]] for row, mask in zip(found, tagged, strict=True)]
    golden = [[names[i] for i in row[mask]] for row, mask in zip(labels, tagged, strict=True)]
    return {
        "accuracy": 100.0 * float(np.mean(found[tagged] == labels[tagged])),
        "f1": entity_f1(spoken, golden),
    }
