"""Sort-of-CLEVR as a task: questions of both groups about a scene, as its states or its pixels."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import numpy as np

from research.core import Source
from research.core.experiment import Asset
from research.data.dataset import Rows
from research.data.in_memory import ArrayBatches
from research.data.procedural import sort_of_clevr as sort
from research.papers.relation_networks.task import Row


class SceneQuestions:
    """See `task.Task`; a row is a scene with its 20 questions.

    Args:
      pixels: scenes are seen as images, not as states.
      num: split -> scenes.
    """

    kinds = sort.KINDS
    groups = {"non_relational": sort.NON_RELATIONAL, "relational": sort.RELATIONAL}
    assets: Sequence[Asset] = ()

    def __init__(self, pixels: bool, num: dict[str, int], questions: int = 10):
        self.pixels, self.num, self.questions = pixels, num, questions
        self.scenes = functools.cache(self._scenes)
        self.arrays = functools.cache(self._arrays)
        seen = {"objects": jax.ShapeDtypeStruct((6, sort.STATE_SIZE), np.float32)}
        if pixels:
            seen = {"image": jax.ShapeDtypeStruct((sort.SIZE, sort.SIZE, 3), np.uint8)}
        bits = (2 * questions, sort.QUESTION_BITS)
        self.row = {
            **seen,
            "question": jax.ShapeDtypeStruct(bits, np.float32),
            "answer": jax.ShapeDtypeStruct(bits[:1], np.int32),
        }

    def _scenes(self, split: str) -> sort.Scenes:
        return sort.load(split, self.num[split], self.questions)

    def _arrays(self, split: str) -> dict[str, np.ndarray]:
        scenes = self.scenes(split)
        return {
            **self.seen(scenes),
            "question": sort.encode_questions(scenes),
            "answer": sort.answers(scenes).astype(np.int32),
        }

    def seen(self, scenes: sort.Scenes) -> dict[str, np.ndarray]:
        """What a network is shown of scenes."""
        return {"image": sort.draw(scenes)} if self.pixels else {"objects": sort.states(scenes)}

    def source(self, batch_size: int, seed: int) -> Source:
        def open_arrays() -> tuple[dict[str, np.ndarray], str]:
            what = "pixels" if self.pixels else "states"
            return self.arrays("train"), f"Sort-of-CLEVR from {what}, {self.num['train']} scenes"

        return ArrayBatches(open_arrays, self.row, batch_size, seed)

    def rows(self, split: str) -> Sequence[Row]:
        return Rows(self.arrays(split))

    def labels(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        return self.arrays(split)["answer"], self.scenes(split).kind
