"""Texts of a person as a question for a fine-tuned language model, and its answer in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from research.core.errors import UserError
from research.data.dataset import Record
from research.papers.gpt1.task_inputs import Marks
from research.papers.gpt1.text_tasks import Encode, Form, questions
from research.report.demo import Demo, Input, Probabilities, Text

_CONTEXT = "If the file does not exist, an exception is"
_ENDINGS = " raised by the function", " the colour of the moon"
_TEXTS = "a moving and beautiful film", "the film is not beautiful at all"


def judge_demo(
    form: Form, encode: Encode, marks: Marks, probabilities: Callable[[Record], np.ndarray]
) -> Demo:
    """A demo that asks a fine-tuned model what a person has written.

    Args:
      form: of the task.
      encode: text to tokens.
      marks: the task's own tokens.
      probabilities: of the classes `[C]`, for one question as `questions` makes it.
    """
    endings = form.kind == "multiple_choice"

    def run(**texts: str) -> dict[str, Any]:
        for name, text in texts.items():
            if not text.strip():
                raise UserError(f"{name} is empty")
        record: Record = {**texts, "label": 0}
        names = form.class_names
        if endings:
            context, *given = texts.values()
            names = tuple(given)
            record = {"context": context, "endings": names, "label": 0}
        try:
            (asked,) = questions([record], form, encode, marks)
        except UserError as error:
            raise UserError(f"that is too long: {error}") from error
        shares = map(float, probabilities(asked))
        return {"answer": _add_up(zip(names, shares, strict=True))}

    return Demo(
        title="Which ending follows?" if endings else "Judge a text",
        says="A language model, fine-tuned with a few labelled texts, reads what you write and "
        "answers; the shares are its probabilities.",
        inputs=_inputs(form),
        outputs={"answer": Probabilities("answer")},
        run=run,
    )


def _inputs(form: Form) -> Mapping[str, Input]:
    if form.kind == "multiple_choice":
        first, second = _ENDINGS
        return {
            "context": Text("beginning", _CONTEXT, lines=3),
            "first": Text("an ending", first, lines=2),
            "second": Text("another ending", second, lines=2),
        }
    return {name: Text(name, text, 2) for name, text in zip(form.texts, _TEXTS, strict=False)}


def _add_up(answers: Any) -> dict[str, float]:
    """Probabilities by name; answers of one name, such as two equal endings, are added up."""
    found: dict[str, float] = {}
    for name, share in answers:
        found[name] = found.get(name, 0.0) + share
    return found
