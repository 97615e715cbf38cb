"""A demo of the key-label task: which digit does a letter have in this document?"""

from __future__ import annotations

from typing import Any

import numpy as np

from research.core.errors import UserError
from research.models.gpt import GPT
from research.papers.gpt.key_labels import KeyLabels
from research.report.demo import Choice, Demo, Probabilities, Text
from research.report.text_demo import token_probabilities


def key_label_demo(model: GPT, params: Any, task: KeyLabels) -> Demo:
    """A demo that asks for the label of a key after pairs of keys and labels."""
    keys, labels = task.alphabets()
    shown = task.names(task[0][1:13])

    def run(pairs: str, key: str) -> dict[str, Any]:
        text = "".join(pairs.split())
        known = [text[i] in keys and text[i + 1] in labels for i in range(0, len(text) - 1, 2)]
        if len(text) % 2 or not all(known) or len(known) >= task.pairs:
            raise UserError(
                f"pairs are a letter of {keys} and a digit of {labels} each, such as {shown}, and "
                f"fewer than {task.pairs}"
            )
        begin = task.keys + task.labels
        document = np.array([[begin, *task.encode(text + key)]], np.int32)
        logits, _ = model.apply({"params": params}, document, train=False)
        names = [*keys, *labels, "another document"]
        return {"label": token_probabilities(logits[0, -1], names.__getitem__)}

    return Demo(
        title="Learn a task from its examples",
        says="Each letter has a digit, in every document another one. The model reads pairs of "
        "both and says which digit follows a letter: nothing but the pairs can tell it.",
        inputs={
            "pairs": Text("pairs that are shown", shown),
            "key": Choice("letter that is asked for", list(keys), shown[0]),
        },
        outputs={"label": Probabilities("its digit")},
        run=run,
        examples=[{"pairs": "a1b2c3a1", "key": "b"}, {"pairs": "", "key": "a"}],
    )
