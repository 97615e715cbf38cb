"""Questions made of text: the right ending follows, and records become the form's sequences."""

import numpy as np

from research.papers.gpt1.task_inputs import Marks
from research.papers.gpt1.text_tasks import FORMS, endings, questions

RNG = np.random.default_rng(0)
TEXTS = ["".join(map(chr, RNG.integers(97, 123, 90))) for _ in range(20)]
MARKS = Marks.after(256, 40)


def encode(text):
    return np.frombuffer(text.encode(), np.uint8).astype(np.int32)


def test_the_right_ending_follows_and_the_other_does_not():
    found = endings(TEXTS, 20, 10, seed=0)
    assert len(found) == 60
    for record in found:
        right = record["context"] + record["endings"][record["label"]]
        wrong = record["context"] + record["endings"][1 - record["label"]]
        assert any(right in text for text in TEXTS)
        assert wrong != right and len(wrong) == 30
    assert 15 < sum(record["label"] for record in found) < 45
    assert len({record["context"] for record in found}) == 60, "every piece is asked once"


def test_questions_are_a_function_of_the_seed():
    one, again, other = (endings(TEXTS, 20, 10, seed) for seed in (0, 0, 1))
    assert list(one) == list(again) != list(other)


def test_records_become_arrays():
    record = questions(endings(TEXTS, 20, 10, 0), FORMS["endings"], encode, MARKS)[3]
    assert record["tokens"].shape == (2, 40) and record["last"].tolist() == [32, 32]
    text = [{"sentence1": "ab", "sentence2": "c", "label": 1}]
    pair = questions(text, FORMS["glue/mrpc"], encode, MARKS)[0]
    assert pair["tokens"][1][:6].tolist() == [256, 99, 257, 97, 98, 258] and pair["label"] == 1


def test_forms_name_their_sequences():
    for form in FORMS.values():
        assert form.sequences == (2 if form.kind in ("similarity", "multiple_choice") else 1)
        assert callable(getattr(MARKS, form.kind))
