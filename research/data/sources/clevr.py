"""CLEVR (Johnson et al. 2017) as its authors publish it, read where it was unpacked.

    CLEVR_v1.0/questions/CLEVR_train_questions.json
    CLEVR_v1.0/scenes/CLEVR_train_scenes.json
    CLEVR_v1.0/images/train/CLEVR_train_000000.png

The splits are "train" and "val"; of "test" no answers are published.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from research.core.errors import UserError
from research.core.reading import expand_user, is_file, is_folder, read_json

FOLDER = "CLEVR_v1.0"
SPLITS = ("train", "val")
COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
SHAPES = ("cube", "sphere", "cylinder")
MATERIALS = ("rubber", "metal")
SIZES = ("small", "large")
STATE_SIZE = 3 + len(COLOURS) + len(SHAPES) + len(MATERIALS) + len(SIZES)
_FEATURES = (("color", COLOURS), ("shape", SHAPES), ("material", MATERIALS), ("size", SIZES))

# The five kinds that papers report, by the last function of a question's program.
KINDS = ("count", "exist", "compare_numbers", "query_attribute", "compare_attribute", "other")
_NUMBERS = ("equal_integer", "less_than", "greater_than")


class Question(NamedTuple):
    """A question, its answer, the number and the file of its image, and which of `KINDS` it is."""

    text: str
    answer: str
    image: int
    file: str
    kind: str


def find(data_dir: str) -> Path:
    """The folder of the release, or the folder in which it lies.

    Raises:
      UserError: it is not there.
    """
    folder = expand_user(data_dir, "config.data.dir") if data_dir else Path()
    for place in (folder / FOLDER, folder):
        if data_dir and is_folder(place / "questions", "config.data.dir"):
            return place
    raise UserError(
        f"CLEVR not found: no {FOLDER}/questions/ in {data_dir or '(no folder given)'}; unpack "
        f"{FOLDER}.zip of cs.stanford.edu/people/jcjohns/clevr into DIR and pass "
        "--config.data.dir=DIR; the script's default variant needs no download"
    )


def questions(folder: Path, split: str) -> list[Question]:
    """All questions of a split.

    Raises:
      UserError: the file is missing or damaged, or a question has no answer.
    """
    path = folder / "questions" / f"CLEVR_{split}_questions.json"
    return _records(path, "questions", _question)


def _question(record: dict[str, Any]) -> Question:
    image, file = int(record["image_index"]), str(record["image_filename"])
    kind = _kind(record.get("program", []))
    return Question(str(record["question"]), str(record["answer"]), image, file, kind)


def _kind(program: list[dict[str, Any]]) -> str:
    """Which of `KINDS` a program's last function makes; it is "type" in older files."""
    last = program[-1] if program else {}
    name = str(last.get("function", last.get("type", "")))
    if name in _NUMBERS:
        return "compare_numbers"
    if name.startswith("query_"):
        return "query_attribute"
    if name.startswith("equal_"):
        return "compare_attribute"
    return name if name in KINDS else "other"


def scenes(folder: Path, split: str) -> dict[int, np.ndarray]:
    """Number of an image -> its objects, float32 `[n, 18]`: place in space and four features.

    Raises:
      UserError: the file is missing or damaged, or an object has a feature that CLEVR has not.
    """
    path = folder / "scenes" / f"CLEVR_{split}_scenes.json"
    return dict(_records(path, "scenes", _scene))


def _scene(record: dict[str, Any]) -> tuple[int, np.ndarray]:
    rows = [state(thing["3d_coords"], thing) for thing in record["objects"]]
    return int(record["image_index"]), np.array(rows, np.float32).reshape(-1, STATE_SIZE)


def state(place: Any, features: Any) -> np.ndarray:
    """An object as numbers `[18]`, of its place (x, y, z) and of color, shape, material and size.

    Raises:
      ValueError: there is no such feature; KeyError: one is missing.
    """
    parts = [np.array(place, np.float32).reshape(3)]
    for name, values in _FEATURES:
        if features[name] not in values:
            raise ValueError(f"{name} is one of {', '.join(values)}, not {features[name]!r}")
        parts.append(np.eye(len(values), dtype=np.float32)[values.index(features[name])])
    return np.concatenate(parts)


def image_path(folder: Path, split: str, file: str) -> Path:
    """Where an image lies.

    Raises:
      UserError: it does not.
    """
    path = folder / "images" / split / file
    if not is_file(path):
        raise UserError(f"there is no {path}; unpack all of {FOLDER}.zip again")
    return path


def _records(path: Path, key: str, read: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """`read` of each record in a list of the release."""
    if not is_file(path):
        raise UserError(f"there is no {path}; unpack all of {FOLDER}.zip again")
    records = read_json(path).get(key)
    if not isinstance(records, list) or not records:
        raise UserError(f"{path} is damaged: it has no list of {key}")
    found = []
    for number, record in enumerate(records):
        try:
            found.append(read(record))
        except KeyError as error:
            raise UserError(f"{path}: record {number} of {key} has no {error}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path}: record {number} of {key}: {error}") from error
    return found
