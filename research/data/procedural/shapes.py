"""`proc_shapes`: one of ten shapes in any pose, colours and texture, over clutter (NumPy, seeded).

Neither colour, size, place nor texture says anything of the class: what does is the outline, of
which 16x16 pixels show little. Layers from back to front: a background of two similar colours in
waves, clutter (discs and bars), the shape in waves of colours half the range away from the
background's in every channel, noise. Edges are anti-aliased: coverage sigmoid(4 d), d the signed
distance to the edge in pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from research.core.errors import UserError
from research.data.dataset import Dataset, Rows, parse_split, slice_records

SIZES = {"train": 12_800, "test": 2_000}
_SEEDS = {"train": 0, "test": 1}
_CHUNK = 512  # images drawn at once, from a generator of their own: bounds memory
_NOISE = 0.04
_CLUTTER = 2  # pieces
_SHADE = 0.2  # how far the two colours of a wave are apart, at most, in each channel

Field = np.ndarray  # [N, S, S], about the signed distance in units of the radius; inside > 0


def _rectangle(x: Field, y: Field, half_width: float, half_height: float) -> Field:
    return np.minimum(half_width - np.abs(x), half_height - np.abs(y))


def _polygon(x: Field, y: Field, corners: int, radius: float) -> Field:
    """Regular, a corner to the right: the least distance to one of its sides."""
    angles = 2 * np.pi * (np.arange(corners) + 0.5) / corners
    inner = radius * np.cos(np.pi / corners)
    sides = [inner - x * np.cos(a) - y * np.sin(a) for a in angles]
    return np.minimum.reduce(sides)


def _star(x: Field, y: Field) -> Field:
    """Five points: the second smallest of the distances to a pentagon's sides, extended."""
    angles = 2 * np.pi * (np.arange(5) + 0.5) / 5
    sides = np.stack([0.42 - x * np.cos(a) - y * np.sin(a) for a in angles])
    return np.sort(sides, axis=0)[1]


def _disc(x: Field, y: Field, radius: float) -> Field:
    return radius - np.hypot(x, y)


SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    "disc": lambda x, y: _disc(x, y, 0.9),
    "ring": lambda x, y: 0.24 - np.abs(np.hypot(x, y) - 0.75),
    "half_disc": lambda x, y: np.minimum(_disc(x, y, 1.1), y + 0.4),
    "crescent": lambda x, y: np.minimum(_disc(x, y, 1.0), -_disc(x - 0.5, y, 0.8)),
    "triangle": lambda x, y: _polygon(x, y, 3, 1.2),
    "square": lambda x, y: _rectangle(x, y, 0.8, 0.8),
    "frame": lambda x, y: np.minimum(_rectangle(x, y, 0.9, 0.9), -_rectangle(x, y, 0.45, 0.45)),
    "bar": lambda x, y: _rectangle(x, y, 1.1, 0.5),
    "cross": lambda x, y: np.maximum(_rectangle(x, y, 1.05, 0.33), _rectangle(x, y, 0.33, 1.05)),
    "star": _star,
}
CLASSES = tuple(SHAPES)


def load(split: str, size: int = 16) -> Dataset:
    """The set `split` ("train", "test", or a part such as "train[:6400]") at `size` pixels.

    Records: "image" uint8 `[size, size, 3]`, "label" int64 (index in `CLASSES`), and the ground
    truth of `generate`. Classes are balanced in every `_CHUNK` images.

    Raises:
      UserError: no such split.
    """
    name, start, stop = parse_split(split)
    if name not in SIZES:
        raise UserError(f"proc_shapes has the splits {', '.join(SIZES)}, not {name!r}")
    rows = Rows(generate(SIZES[name], _SEEDS[name], size))
    origin = f"procedural shapes, {size}x{size}, {split}"
    return Dataset(slice_records(rows, start, stop), origin, CLASSES)


def generate(num: int, seed: int, size: int = 16) -> dict[str, np.ndarray]:
    """`num` images and what they show.

    Returns:
      image: uint8 `[num, size, size, 3]`.
      label: int64 `[num]`, index in `CLASSES`.
      mask: uint8 `[num, size, size]`, the shape's coverage of each pixel, 255 for all of it.
      centre: float32 `[num, 2]`, (x, y) in pixels from the image's middle, y downwards.
      radius: float32 `[num]`, in pixels.
      angle: float32 `[num]`, in radians.
    """
    parts = [
        _chunk(min(_CHUNK, num - first), np.random.default_rng([seed, first]), first, size)
        for first in range(0, num, _CHUNK)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _chunk(num: int, rng: np.random.Generator, first: int, size: int) -> dict[str, np.ndarray]:
    label = rng.permutation((first + np.arange(num)) % len(CLASSES))
    radius = rng.uniform(0.24, 0.38, num) * size
    centre = rng.uniform(-1, 1, (num, 2)) * (0.45 * size - 1.05 * radius)[:, None]
    angle = rng.uniform(0, 2 * np.pi, num)

    axis = np.arange(size) - (size - 1) / 2
    x, y = (np.broadcast_to(a, (num, size, size)) for a in np.meshgrid(axis, axis))
    colour = rng.uniform(0, 1, (num, 1, 1, 3))
    image = _waves(x, y, colour, rng, size)
    for _ in range(_CLUTTER):
        piece = _coverage(
            *_local(
                x,
                y,
                rng.uniform(-0.5, 0.5, (num, 2)) * size,
                rng.uniform(0.06, 0.14, num) * size,
                rng.uniform(0, 2 * np.pi, num),
            ),
            np.arange(num) % 2,
            ("disc", "bar"),
        )
        image += piece[..., None] * (rng.uniform(0, 1, (num, 1, 1, 3)) - image)
    mask = _coverage(*_local(x, y, centre, radius, angle), label, CLASSES)
    image += mask[..., None] * (_waves(x, y, (colour + 0.5) % 1, rng, size) - image)
    image += rng.normal(0, _NOISE, image.shape)
    return {
        "image": _to_uint8(image),
        "label": label,
        "mask": _to_uint8(mask),
        "centre": centre.astype(np.float32),
        "radius": radius.astype(np.float32),
        "angle": angle.astype(np.float32),
    }


def _local(
    x: Field, y: Field, centre: np.ndarray, radius: np.ndarray, angle: np.ndarray
) -> tuple[Field, Field, np.ndarray]:
    """Pixels in the shape's own frame, where its radius is 1; and its radius in pixels."""
    scale = radius[:, None, None]
    dx, dy = (d - c[:, None, None] for d, c in zip((x, y), centre.T, strict=True))
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return (cos * dx + sin * dy) / scale, (cos * dy - sin * dx) / scale, scale


def _coverage(
    x: Field, y: Field, scale: np.ndarray, kind: np.ndarray, names: tuple[str, ...]
) -> np.ndarray:
    """`[N, S, S]` in [0, 1]: how much of each pixel shape `names[kind]` covers."""
    distance = np.empty_like(x)
    for index, name in enumerate(names):
        chosen = kind == index
        distance[chosen] = SHAPES[name](x[chosen], y[chosen])
    return 1 / (1 + np.exp(-np.clip(4 * distance * scale, -30, 30)))


def _waves(
    x: Field, y: Field, colour: np.ndarray, rng: np.random.Generator, size: int
) -> np.ndarray:
    """Waves from `colour` `[N, 1, 1, 3]` to a similar one, of any direction and length.

    Returns:
      `[N, S, S, 3]`.
    """
    num = len(x)
    shade = rng.uniform(-_SHADE, _SHADE, (num, 1, 1, 3))
    direction, phase = rng.uniform(0, 2 * np.pi, (2, num, 1, 1))
    periods = rng.uniform(0.5, 3, (num, 1, 1)) * 2 * np.pi / size
    wave = np.sin(periods * (np.cos(direction) * x + np.sin(direction) * y) + phase)
    return colour + wave[..., None] * shade


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
