"""What a person writes becomes the question that training asks, and the answer has names."""

import numpy as np
import pytest

from research.core import UserError
from research.data.text.vocabulary import Bytes
from research.papers.gpt1.judging import judge_demo
from research.papers.gpt1.task_inputs import Marks
from research.papers.gpt1.text_tasks import FORMS, questions

MARKS = Marks.after(257, 100)


def demo_of(task, asked):
    form = FORMS[task]

    def probabilities(question):
        asked.append(question)
        classes = form.classes or form.sequences
        return np.arange(1, classes + 1) / sum(range(1, classes + 1))

    return judge_demo(form, Bytes().encode, MARKS, probabilities)


@pytest.mark.parametrize("task", FORMS)
def test_every_task_is_asked_as_in_training(task):
    asked = []
    demo = demo_of(task, asked)
    answer = demo.run(**demo.defaults())["answer"]
    assert sum(answer.values()) == pytest.approx(1) and len(answer) == (FORMS[task].classes or 2)
    assert asked[0]["tokens"].shape == (FORMS[task].sequences, 100)
    assert all(isinstance(name, str) and not name.startswith("class ") for name in answer)


def test_endings_keep_their_order():
    asked = []
    answer = demo_of("endings", asked).run(context="one two", first=" three", second=" four")
    assert answer["answer"] == {" three": pytest.approx(1 / 3), " four": pytest.approx(2 / 3)}
    record = {"context": "one two", "endings": (" three", " four"), "label": 0}
    (expected,) = questions([record], FORMS["endings"], Bytes().encode, MARKS)
    np.testing.assert_array_equal(asked[0]["tokens"], expected["tokens"])


def test_bad_texts_are_refused():
    demo = demo_of("endings", [])
    with pytest.raises(UserError, match="first is empty"):
        demo.run(context="a", first=" ", second="b")
    with pytest.raises(UserError, match="too long"):
        demo.run(context="a", first="b" * 200, second="c")
    same = demo.run(context="a", first="b", second="b")["answer"]
    assert same == {"b": pytest.approx(1)}
