"""`proc_digits`: scikit-learn's digits turned, scaled and shifted at random, as many as are asked
for (NumPy, seeded).

The 1,797 digits are too few for metrics that need more images than features. Every fifth of them is
for "test", the others for "train", so that no digit is in both, and the same hands wrote them.
"""

from __future__ import annotations

import functools

import numpy as np

from research.core.errors import check_choice
from research.data.dataset import Dataset, Rows, parse_split, slice_records

SIZES = {"train": 16_000, "test": 4_000}
_SEEDS = {"train": 0, "test": 1}
_CHUNK = 1000  # images drawn at once: bounds memory
_TURN, _SCALE, _SHIFT = 0.25, 0.15, 0.75  # radians, share, pixels of 8: at most, either way


@functools.lru_cache(maxsize=4)
def load(split: str, size: int = 16) -> Dataset:
    """The set `split` ("train", "test", or a part such as "train[:500]") at `size` pixels.

    Records: "image" uint8 `[size, size, 1]`, ink is 255, and "label" int64. Classes are balanced.

    Raises:
      UserError: no such split.
    """
    name, start, stop = parse_split(split)
    check_choice("a split of proc_digits", name, SIZES)
    rows = Rows(generate(SIZES[name], name, size))
    origin = f"scikit-learn's digits, turned, scaled and shifted, {size}x{size}, {split}"
    return Dataset(slice_records(rows, start, stop), origin, tuple("0123456789"))


def generate(num: int, split: str, size: int = 16) -> dict[str, np.ndarray]:
    """`num` images, uint8 `[num, size, size, 1]`, and their labels, int64 `[num]`."""
    from sklearn.datasets import load_digits

    data = load_digits()
    of_test = np.arange(len(data.images)) % 5 == 4
    chosen = of_test if split == "test" else ~of_test
    images, labels = data.images[chosen] / 16, data.target[chosen]

    rng = np.random.default_rng(_SEEDS[split])
    wanted = rng.permutation(np.arange(num) % 10)
    of_class = [np.flatnonzero(labels == label) for label in range(10)]
    which = np.array([rng.choice(of_class[label]) for label in wanted])
    turn, scale, down, right = (
        rng.uniform(-most, most, num) for most in (_TURN, _SCALE, _SHIFT, _SHIFT)
    )
    parts = []
    for first in range(0, num, _CHUNK):
        rows = slice(first, first + _CHUNK)
        moves = (turn[rows], 1 + scale[rows], down[rows], right[rows])
        parts.append(_moved(images[which[rows]], size, *moves))
    ink = np.concatenate(parts)
    return {
        "image": np.round(255 * ink).astype(np.uint8)[..., None],
        "label": wanted.astype(np.int64),
    }


def _moved(
    images: np.ndarray,
    size: int,
    turn: np.ndarray,
    scale: np.ndarray,
    down: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    """Images `[N, 8, 8]` as `[N, size, size]`, sampled bilinearly; there is no ink outside."""
    side = images.shape[1]
    axis = ((np.arange(size) + 0.5) / size - 0.5) * side  # from the middle, in pixels of the image
    y, x = axis[None, :, None], axis[None, None, :]
    cosine, sine = (f(turn)[:, None, None] / scale[:, None, None] for f in (np.cos, np.sin))
    rows = cosine * y - sine * x + (side - 1) / 2 - down[:, None, None]
    columns = sine * y + cosine * x + (side - 1) / 2 - right[:, None, None]
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    rows, columns = (np.clip(place + 1, 0, side + 1) for place in (rows, columns))
    top, left = (np.floor(place).astype(int) for place in (rows, columns))
    dy, dx = rows - top, columns - left
    n = np.arange(len(images))[:, None, None]
    upper = padded[n, top, left] * (1 - dx) + padded[n, top, left + 1] * dx
    lower = padded[n, top + 1, left] * (1 - dx) + padded[n, top + 1, left + 1] * dx
    return upper * (1 - dy) + lower * dy
