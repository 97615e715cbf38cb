"""bAbI as a task: one network answers questions about the stories of all its tasks."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import numpy as np

from research.core import Source, UserError
from research.core.experiment import Asset
from research.data import load
from research.data.dataset import Record, Rows
from research.data.in_memory import ArrayBatches
from research.data.procedural import stories
from research.papers.relation_networks.task import Row
from research.papers.relation_networks.words import QuestionWords

PROCEDURAL = "stories"
_VALIDATION = 10  # one question in so many of a task's training ones, the last of them
_SEEDS = {"train": 0, "test": 1}


class StoryQuestions:
    """See `task.Task`; a row is a question with the sentences told before it.

    Args:
      name: "stories" for `procedural.stories`, or "babi/en" or "babi/en-10k".
      data_dir: for `data.load`.
      tasks: numbers of bAbI's tasks that are learned together.
      per_task: questions made of each of them, where they are made; a tenth as many to test on.
      sentences: the last so many are read.
      sentence_length, question_length: words of each, at most.
      vocab_size, num_answers: see `QuestionWords`.
    """

    groups: dict[str, Sequence[str]] = {}

    def __init__(
        self,
        name: str,
        data_dir: str,
        tasks: Sequence[int],
        per_task: int,
        sentences: int,
        sentence_length: int,
        question_length: int,
        vocab_size: int,
        num_answers: int,
    ):
        self.name, self.data_dir, self.per_task = name, data_dir, per_task
        self.tasks = tuple(tasks)
        self.kinds = tuple(f"task_{number}" for number in self.tasks)
        self.sentences = sentences
        self.sentence_length, self.question_length = sentence_length, question_length
        self.words = QuestionWords(self._texts, vocab_size, num_answers)
        self.assets: Sequence[Asset] = (self.words,)
        self.records = functools.cache(self._records)
        self.arrays = functools.cache(self._arrays)
        self.encoded = functools.cache(self.words.encode)  # most sentences stand there often
        words = (sentences, sentence_length)
        self.row = {
            "sentences": jax.ShapeDtypeStruct(words, np.int32),
            "present": jax.ShapeDtypeStruct(words[:1], np.bool_),
            "question": jax.ShapeDtypeStruct((1, question_length), np.int32),
            "answer": jax.ShapeDtypeStruct((1,), np.int32),
        }

    def _records(self, split: str) -> tuple[list[Record], str]:
        if split == "test":
            return self._opened("test")
        opened, origin = self._opened("train")
        records: list[Record] = []
        for task in self.tasks:
            own = [record for record in opened if record["task"] == task]
            if not own:
                raise UserError(f"{origin} has no questions of task {task} to learn from")
            # Of one story to either side: the questions of a story stand together.
            validation = -max(1, len(own) // _VALIDATION)
            records += own[:validation] if split == "train" else own[validation:]
        return records, origin

    def _opened(self, split: str) -> tuple[list[Record], str]:
        if self.name == PROCEDURAL:
            if strange := set(self.tasks) - set(stories.TASKS):
                made = ", ".join(map(str, stories.TASKS))
                raise UserError(f"data.tasks: {min(strange)} is not among those made: {made}")
            num = self.per_task if split == "train" else max(1, self.per_task // 10)
            every: Sequence[Record] = stories.generate(num, _SEEDS[split])
            origin = f"procedural stories, {num} a task"
        else:
            dataset = load(self.name, split, self.data_dir)
            every, origin = dataset, dataset.origin
        chosen = [record for record in every if record["task"] in self.tasks]
        return chosen, f"{origin}, tasks {', '.join(map(str, self.tasks))}"

    def _texts(self) -> tuple[list[str], list[str]]:
        records = [r for split in ("train", "validation") for r in self.records(split)[0]]
        texts = [text for r in records for text in (*r["story"], r["question"])]
        return texts, [r["answer"] for r in records]

    def encode(self, story: Sequence[str], question: str) -> dict[str, np.ndarray]:
        """A row without its answer: the last sentences of a story, and a question."""
        sentences = np.zeros((self.sentences, self.sentence_length), np.int32)
        kept = story[-self.sentences :]
        for place, sentence in enumerate(kept):
            sentences[place] = self.encoded(sentence, self.sentence_length, "data.sentence_length")
        asked = self.encoded(question, self.question_length, "data.question_length")
        present = np.arange(self.sentences) < len(kept)
        return {"sentences": sentences, "present": present, "question": asked[None]}

    def _arrays(self, split: str) -> dict[str, np.ndarray]:
        rows = [
            {**self.encode(r["story"], r["question"]), "answer": [self.words.label(r["answer"])]}
            for r in self.records(split)[0]
        ]
        return {
            name: np.stack([np.asarray(row[name], spec.dtype) for row in rows])
            for name, spec in self.row.items()
        }

    def source(self, batch_size: int, seed: int) -> Source:
        def open_arrays() -> tuple[dict[str, np.ndarray], str]:
            return self.arrays("train"), self.records("train")[1]

        return ArrayBatches(open_arrays, self.row, batch_size, seed)

    def rows(self, split: str) -> Sequence[Row]:
        return Rows(self.arrays(split))

    def labels(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        kind = [[self.tasks.index(r["task"])] for r in self.records(split)[0]]
        return self.arrays(split)["answer"], np.array(kind)
