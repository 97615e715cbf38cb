"""Sort-of-CLEVR: six coloured squares and circles, and questions about them (NumPy, seeded).

Source: Santoro et al. 2017, section 3.2 and its supplement: 75x75 pixels, each of six colours once,
squares and circles at random that do not touch, ten questions of each kind for an image. Half a
question's kinds ask about one object, half about how it lies to the others.

Three things that the paper does not say: sizes, what happens where two objects are as near (the
first in the order of `COLOURS` counts), and whether an object counts as of its own shape (it does,
which gives the paper's ten answers).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

COLOURS = ("red", "green", "blue", "orange", "grey", "yellow")
RGB = np.array(
    [(220, 40, 40), (40, 160, 60), (50, 80, 220), (245, 140, 20), (128, 128, 128), (240, 220, 40)],
    np.uint8,
)
SHAPES = ("square", "circle")
NON_RELATIONAL = ("shape", "left", "up")
RELATIONAL = ("nearest", "farthest", "count")
KINDS = (*NON_RELATIONAL, *RELATIONAL)
ANSWERS = ("yes", "no", *SHAPES, "1", "2", "3", "4", "5", "6")
IN_WORDS = (
    "What shape is the {} object?",
    "Is the {} object on the left?",
    "Is the {} object at the top?",
    "What shape is the object nearest to the {} one?",
    "What shape is the object farthest from the {} one?",
    "How many objects have the shape of the {} one?",
)
SIZE = 75  # pixels a side
REACH = 5  # pixels from an object's middle to its edge
QUESTION_BITS = len(COLOURS) + 2 + 3
STATE_SIZE = 2 + len(SHAPES) + len(COLOURS)
_BACKGROUND = 245
_CHUNK = 256  # images drawn at once: bounds memory
_SEEDS = {"train": 0, "validation": 1, "test": 2}


class Scenes(NamedTuple):
    """N scenes and Q questions about each; objects are in the order of `COLOURS`.

    Attributes:
      centre: int `[N, 6, 2]`, (x, y) in pixels, y downwards.
      shape: int `[N, 6]`, index in `SHAPES`.
      order: int `[N, 6]`, the order in which `states` has the objects.
      colour: int `[N, Q]`, which object is asked about.
      kind: int `[N, Q]`, index in `KINDS`.
    """

    centre: np.ndarray
    shape: np.ndarray
    order: np.ndarray
    colour: np.ndarray
    kind: np.ndarray


def load(split: str, num: int, questions: int = 10) -> Scenes:
    """`num` scenes of "train", "validation" or "test"; see `generate`."""
    return generate(num, _SEEDS[split], questions)


def generate(num: int, seed: int, questions: int = 10) -> Scenes:
    """Scenes with `questions` of each of the two groups of kinds, those about one object first."""
    rng = np.random.default_rng([seed, num])
    colour = rng.integers(0, len(COLOURS), (num, 2 * questions))
    kind = rng.integers(0, 3, (num, 2 * questions))
    kind[:, questions:] += len(NON_RELATIONAL)
    return Scenes(
        centre=_centres(num, rng),
        shape=rng.integers(0, len(SHAPES), (num, len(COLOURS))),
        order=np.argsort(rng.random((num, len(COLOURS))), axis=1),
        colour=colour,
        kind=kind,
    )


def _centres(num: int, rng: np.random.Generator) -> np.ndarray:
    """Places, uniform but that no two objects touch: int `[num, 6, 2]`."""
    centre = np.zeros((num, len(COLOURS), 2), np.int64)
    for index in range(len(COLOURS)):
        wanted = np.arange(num)
        while len(wanted):
            drawn = rng.integers(REACH, SIZE - REACH, (len(wanted), 2))
            away = np.abs(centre[wanted, :index] - drawn[:, None]).max(-1)
            free = (away > 2 * REACH + 1).all(1)  # side by side, with a line of pixels between them
            centre[wanted[free], index] = drawn[free]
            wanted = wanted[~free]
    return centre


def answers(scenes: Scenes) -> np.ndarray:
    """Answers `[N, Q]`, indices in `ANSWERS`, from the scenes themselves."""
    centre, shape = scenes.centre, scenes.shape
    difference = centre[:, :, None] - centre[:, None]
    squared = (difference**2).sum(-1)
    itself = np.eye(len(COLOURS), dtype=bool)
    nearest = np.where(itself, np.iinfo(np.int64).max, squared).argmin(-1)
    farthest = np.where(itself, -1, squared).argmax(-1)
    same = (shape[:, :, None] == shape[:, None]).sum(-1)
    first_shape, first_number = ANSWERS.index(SHAPES[0]), ANSWERS.index("1")
    is_left, is_up = centre[..., 0] < SIZE / 2, centre[..., 1] < SIZE / 2
    by_kind = np.stack(
        [
            first_shape + shape,
            np.where(is_left, 0, 1),
            np.where(is_up, 0, 1),
            first_shape + np.take_along_axis(shape, nearest, 1),
            first_shape + np.take_along_axis(shape, farthest, 1),
            first_number + same - 1,
        ],
        axis=1,
    )  # [N, kind, colour]
    return by_kind[np.arange(len(centre))[:, None], scenes.kind, scenes.colour]


def encode_questions(scenes: Scenes) -> np.ndarray:
    """Questions as bits, float32 `[N, Q, 11]`: colour, about one or relational, which of three."""
    group, which = np.divmod(scenes.kind, len(NON_RELATIONAL))
    parts = [np.eye(size)[bits] for size, bits in ((6, scenes.colour), (2, group), (3, which))]
    return np.concatenate(parts, -1).astype(np.float32)


def states(scenes: Scenes) -> np.ndarray:
    """Objects in a random order, float32 `[N, 6, 10]`: x, y in -1 to 1, shape, colour."""
    place = 2 * scenes.centre / (SIZE - 1) - 1
    shape = np.eye(len(SHAPES))[scenes.shape]
    colour = np.broadcast_to(np.eye(len(COLOURS)), (len(shape), 6, len(COLOURS)))
    every = np.concatenate([place, shape, colour], -1).astype(np.float32)
    return np.take_along_axis(every, scenes.order[..., None], 1)


def draw(scenes: Scenes) -> np.ndarray:
    """Pictures, uint8 `[N, 75, 75, 3]`."""
    num = len(scenes.centre)
    parts = [
        _draw(scenes.centre[i : i + _CHUNK], scenes.shape[i : i + _CHUNK])
        for i in range(0, num, _CHUNK)
    ]
    return np.concatenate(parts)


def _draw(centre: np.ndarray, shape: np.ndarray) -> np.ndarray:
    axis = np.arange(SIZE)
    dx = np.abs(axis - centre[..., 0, None])[:, :, None, :]  # [N, 6, 1, S]
    dy = np.abs(axis - centre[..., 1, None])[:, :, :, None]
    in_square = (dx <= REACH) & (dy <= REACH)
    in_circle = dx**2 + dy**2 <= REACH**2 + 1
    inside = np.where(shape[..., None, None] == 0, in_square, in_circle)
    image = np.full((len(centre), SIZE, SIZE, 3), _BACKGROUND, np.uint8)
    for index, colour in enumerate(RGB):  # no pixel is of two objects
        image[inside[:, index]] = colour
    return image


def in_words(colour: int, kind: int) -> str:
    """A question as a person would ask it."""
    return IN_WORDS[kind].format(COLOURS[colour])
