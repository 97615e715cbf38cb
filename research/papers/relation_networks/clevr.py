"""CLEVR as a task: a question about an image, or about its objects as they truly are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from research.core import Source, UserError
from research.core.errors import first_line
from research.core.experiment import Asset
from research.data import pipeline
from research.data.dataset import Lazy
from research.data.images.augment import crop
from research.data.sources import clevr
from research.papers.relation_networks.task import Row
from research.papers.relation_networks.words import QuestionWords


class ClevrQuestions:
    """See `task.Task`; a row is one question. The split that is tested on is CLEVR's "val".

    Args:
      pixels: images are seen, not the states of their objects.
      data_dir: see `sources.clevr.find`.
      num_validation: the last so many training questions are not trained on.
      image_size: images are scaled to it.
      padding: pixels added on all sides of a training image before it is cropped.
      rotation: of a training image, in radians to either side, at most.
      max_objects: room for states.
      question_length: words, at most.
      vocab_size, num_answers: see `QuestionWords`.
    """

    kinds = clevr.KINDS
    groups: dict[str, Sequence[str]] = {}

    def __init__(
        self,
        pixels: bool,
        data_dir: str,
        num_validation: int,
        image_size: int,
        padding: int,
        rotation: float,
        max_objects: int,
        question_length: int,
        vocab_size: int,
        num_answers: int,
    ):
        self.pixels, self.data_dir, self.num_validation = pixels, data_dir, num_validation
        self.image_size, self.padding, self.rotation = image_size, padding, rotation
        self.max_objects, self.question_length = max_objects, question_length
        self.words = QuestionWords(self._texts, vocab_size, num_answers)
        self.assets: Sequence[Asset] = (self.words,)
        self.questions = functools.cache(self._questions)
        self.opened = functools.cache(self._opened)
        self.scenes = functools.cache(lambda split: clevr.scenes(self.folder, split))
        seen = {
            "objects": jax.ShapeDtypeStruct((max_objects, clevr.STATE_SIZE), np.float32),
            "present": jax.ShapeDtypeStruct((max_objects,), np.bool_),
        }
        if pixels:
            seen = {"image": jax.ShapeDtypeStruct((image_size, image_size, 3), np.uint8)}
        self.row = {
            **seen,
            "question": jax.ShapeDtypeStruct((1, question_length), np.int32),
            "answer": jax.ShapeDtypeStruct((1,), np.int32),
        }

    @functools.cached_property
    def folder(self) -> Path:
        return clevr.find(self.data_dir)

    def _opened(self, published: str) -> list[clevr.Question]:
        return clevr.questions(self.folder, published)

    def _questions(self, split: str) -> list[clevr.Question]:
        if split == "test":
            return self.opened("val")
        every = self.opened("train")
        if self.num_validation >= len(every):
            raise UserError(
                f"data.num_validation={self.num_validation} leaves none of {len(every)} questions"
            )
        cut = len(every) - self.num_validation
        return every[:cut] if split == "train" else every[cut:]

    def _texts(self) -> tuple[list[str], list[str]]:
        every = self.opened("train")
        return [question.text for question in every], [question.answer for question in every]

    def read(self, question: clevr.Question, published: str) -> Row:
        """A row; an image as it is when it is tested on."""
        if self.pixels:
            path = clevr.image_path(self.folder, published, question.file)
            seen = self.encode_image(read_image(path))
        else:
            found = self.scenes(published)
            if question.image not in found:
                raise UserError(f"CLEVR {published}: no scene of image {question.image}")
            seen = self.encode_objects(found[question.image])
        return {
            **seen,
            "question": self.encode_question(question.text),
            "answer": np.array([self.words.label(question.answer)], np.int32),
        }

    def encode_question(self, text: str) -> np.ndarray:
        return self.words.encode(text, self.question_length, "data.question_length")[None]

    def encode_image(self, picture: Image.Image) -> dict[str, np.ndarray]:
        size = (self.image_size, self.image_size)
        scaled = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
        return {"image": np.asarray(scaled)}

    def encode_objects(self, objects: np.ndarray) -> dict[str, np.ndarray]:
        """States `[n, 18]`, filled up."""
        if len(objects) > self.max_objects:
            raise UserError(
                f"a scene has {len(objects)} objects, there is room for {self.max_objects}; set "
                f"--config.data.max_objects={len(objects)}"
            )
        filled = np.zeros((self.max_objects, clevr.STATE_SIZE), np.float32)
        filled[: len(objects)] = objects
        return {"objects": filled, "present": np.arange(self.max_objects) < len(objects)}

    def augment(self, row: Row, rng: np.random.Generator) -> Row:
        """A training image padded, cropped back and rotated a little (supplement)."""
        if not self.pixels:
            return row
        border = ((self.padding,) * 2, (self.padding,) * 2, (0, 0))
        cropped = crop(np.pad(row["image"], border, mode="edge"), rng, self.image_size)
        degrees = np.degrees(rng.uniform(-self.rotation, self.rotation))
        turned = Image.fromarray(cropped).rotate(degrees, Image.Resampling.BILINEAR)
        return {**row, "image": np.asarray(turned)}

    def source(self, batch_size: int, seed: int) -> Source:
        def open_dataset() -> Sequence[Row]:
            rows = self.rows("train")
            for split in ("train", "validation", "test"):
                _ = self.rows(split)[0]  # what is wrong with them is noticed now
            return rows

        return pipeline.stream(open_dataset, dict(self.row), batch_size, seed, self.augment)

    def rows(self, split: str) -> Sequence[Row]:
        published = "val" if split == "test" else "train"
        return Lazy(self.questions(split), lambda question: dict(self.read(question, published)))

    def labels(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        questions = self.questions(split)
        answers = [[self.words.label(question.answer)] for question in questions]
        kinds = [[self.kinds.index(question.kind)] for question in questions]
        return np.array(answers), np.array(kinds)


def read_image(path: Path) -> Any:
    """An image file.

    Raises:
      UserError: it is none.
    """
    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except Exception as error:  # decoders raise whatever the bytes make them stumble over
        raise UserError(f"{path} is damaged: {first_line(error)}; unpack it again") from error
