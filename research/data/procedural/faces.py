"""`proc_faces`: parametric faces with their factors as ground truth (NumPy, seeded, any size).

A face is drawn from 16 numbers: an identity (eight entries in [-1, 1]), nuisance (pose, expression,
light, glasses, background), a gender marker and an age. Layers are composited back to front in a
frame fixed to the head (x to the right, y downwards, [-1, 1] over the image), with anti-aliased
edges: coverage sigmoid(2 d), d the signed distance to the edge in pixels.

Departures from a literal reading of the recipe, so that everything is visible at 32 px: the nose is
wider, darker and varies more in length, and the mouth's parabola is taken over its own half-width
(over absolute x it would bend by a tenth of a pixel).
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import numpy as np

from research.core.errors import check_choice
from research.data.dataset import Dataset, parse_split, slice_records

IDENTITY = (
    "width",
    "height",
    "skin",
    "eye_distance",
    "nose_length",
    "mouth_width",
    "hairline",
    "hair_colour",
)
NUISANCE = ("pose_x", "pose_y", "expression", "light", "glasses", "background")
# Shares of (marker, glasses) = (0, 0), (0, 1), (1, 0), (1, 1).
BALANCED = (0.25, 0.25, 0.25, 0.25)
CLASSES = ("man", "man with glasses", "woman", "woman with glasses")

_HAIR = np.array([[0.10, 0.07, 0.06], [0.36, 0.20, 0.10], [0.62, 0.26, 0.10], [0.86, 0.70, 0.32]])
_GREY = np.array([0.78, 0.78, 0.80])
_CHUNK = 512  # faces drawn at once: bounds memory, does not change the result


class Factors(NamedTuple):
    """Ground truth of N faces; every entry float32.

    identity: `[N, 8]` in [-1, 1], named by `IDENTITY`, fixed for a person.
    nuisance: `[N, 6]`, named by `NUISANCE`; [-1, 1], glasses 0 or 1, background hue in [0, 1].
    marker: `[N]`, 0 or 1: long hair and red lips.
    age: `[N]` in years, 10 to 75.
    """

    identity: np.ndarray
    nuisance: np.ndarray
    marker: np.ndarray
    age: np.ndarray

    @property
    def glasses(self) -> np.ndarray:
        """`[N]`, 0 or 1."""
        return self.nuisance[:, 4]

    @property
    def label(self) -> np.ndarray:
        """`[N]` int64 index into `CLASSES`: 2 marker + glasses."""
        return (2 * self.marker + self.glasses).astype(np.int64)


def sample_factors(
    num_faces: int,
    seed: int,
    *,
    identity: np.ndarray | None = None,
    shares: tuple[float, float, float, float] = BALANCED,
    calm: float = 0.0,
) -> Factors:
    """Draws factors for `num_faces` faces.

    Args:
      num_faces: N.
      seed: same seed, same faces.
      identity: `[N, 8]` to show known persons under fresh nuisance; drawn when None.
      shares: probability of each of `CLASSES`.
      calm: how far pose, light and background are drawn in towards a portrait's (frontal, evenly
        lit, before blue): 0 not at all, 1 entirely. Expression and glasses stay as they are.

    Raises:
      ValueError: the shares do not sum to one, or `identity` has the wrong shape.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(-1, 1, (num_faces, len(IDENTITY)))
    if identity is not None and identity.shape != drawn.shape:
        raise ValueError(f"identity has shape {identity.shape}, expected {drawn.shape}")
    label = rng.choice(4, num_faces, p=shares)
    nuisance = rng.uniform(-1, 1, (num_faces, len(NUISANCE)))
    nuisance[:, 4] = label % 2
    nuisance[:, 5] = (nuisance[:, 5] + 1) / 2
    nuisance[:, [0, 1, 3]] *= 1 - calm
    nuisance[:, 5] = calm * 0.6 + (1 - calm) * nuisance[:, 5]
    age = rng.uniform(10, 75, num_faces)
    return Factors(
        *(
            np.asarray(v, np.float32)
            for v in (drawn if identity is None else identity, nuisance, label // 2, age)
        )
    )


def render(factors: Factors, size: int, *, seed: int = 0, noise: float = 0.02) -> np.ndarray:
    """Draws the faces: uint8 `[N, size, size, 3]`.

    Args:
      factors: what to draw.
      size: pixels on a side.
      seed: of the pixel noise.
      noise: standard deviation of the pixel noise, on a scale of [0, 1].
    """
    rng = np.random.default_rng(seed)
    out = np.empty((len(factors.age), size, size, 3), np.uint8)
    for start in range(0, len(out), _CHUNK):
        part = Factors(*(np.asarray(v[start : start + _CHUNK], np.float32) for v in factors))
        image = _draw(part, size)
        image += noise * rng.standard_normal(image.shape, np.float32)
        out[start : start + _CHUNK] = np.clip(255 * image + 0.5, 0, 255)
    return out


def dataset(
    num_faces: int, size: int, seed: int, *, shares: tuple[float, float, float, float] = BALANCED
) -> tuple[np.ndarray, Factors]:
    """`render` of `sample_factors`: uint8 `[N, size, size, 3]` and its factors."""
    factors = sample_factors(num_faces, seed, shares=shares)
    return render(factors, size, seed=seed), factors


@functools.lru_cache(maxsize=8)
def load(scene: Literal["street", "studio"], split: str, size: int) -> Dataset:
    """A data set of faces, in the form of `research.data.load`; rendered once in a process.

    Splits: "train" (20,000) and "test" (4,000), every face a new person, 30 % each men, men with
    glasses and women, 10 % women with glasses; "people" (4,000), twenty persons photographed 200
    times, whose pose, expression, light, glasses and background change. Slices as in "train[:500]".

    Args:
      scene: "street", where everything varies, or "studio", with `calm` 0.7.

    Returns:
      Records {"image": uint8 `[size, size, 3]`, "label": index into `CLASSES`, or the person for
      "people", "pose": float32 [2], "eyes": bool `[size, size]`, see `eye_region`}.

    Raises:
      KeyError: no such scene.
      UserError: no such split.
    """
    calm = {"street": 0.0, "studio": 0.7}[scene]
    name, start, stop = parse_split(split)
    splits = {"train": (20_000, 1), "test": (4_000, 2), "people": (4_000, 3)}
    check_choice("a split of proc_faces", name, splits)
    num, seed = splits[name]
    if name == "people":
        who = np.random.default_rng(seed).permutation(np.arange(num) % 20)
        known = sample_factors(20, seed)
        factors = sample_factors(num, seed + 1, identity=known.identity[who], calm=calm)
        factors = factors._replace(marker=known.marker[who], age=known.age[who])
        label = who
    else:
        factors = sample_factors(num, seed, shares=(0.3, 0.3, 0.3, 0.1), calm=calm)
        label = factors.label
    rows = np.array(slice_records(range(num), start, stop))
    factors = Factors(*(v[rows] for v in factors))
    images, eyes = render(factors, size, seed=seed), eye_region(factors, size)
    records = [
        {"image": images[i], "label": label[row], "pose": factors.nuisance[i, :2], "eyes": eyes[i]}
        for i, row in enumerate(rows)
    ]
    origin = f"proc_faces/{scene} {split}, rendered at {size} px"
    return Dataset(records, origin, () if name == "people" else CLASSES)


def eye_region(factors: Factors, size: int) -> np.ndarray:
    """Box around both lenses, worn or not: `[N, size, size]` bool, ground truth of `glasses`."""
    x, y, _ = _head_frame(factors, size)
    reach = _column(_eye_x(factors)) + 0.22
    return (np.abs(x - 0.12 * _column(factors.nuisance[:, 0])) < reach) & (np.abs(y + 0.15) < 0.22)


def _column(v: np.ndarray) -> np.ndarray:
    return v[:, None, None]


def _head_frame(factors: Factors, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates in each head's frame `[N, size, size]` and pixels per unit `[N, 1, 1]`."""
    grid = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    scale = _column(np.where(factors.age < 19, 0.92, 1.0).astype(np.float32))
    x = (grid[None, None, :] - 0.15 * _column(factors.nuisance[:, 0])) / scale
    y = (grid[None, :, None] - 0.15 * _column(factors.nuisance[:, 1])) / scale
    shape = (len(factors.age), size, size)
    return np.broadcast_to(x, shape), np.broadcast_to(y, shape), scale * (size / 2)


def _eye_x(factors: Factors) -> np.ndarray:
    return 0.22 + 0.05 * factors.identity[:, 3]


def _draw(f: Factors, size: int) -> np.ndarray:
    """`[N, size, size, 3]` float32 in about [0, 1], without noise."""
    i, (px, _, expr, light, glasses, hue) = f.identity, f.nuisance.T
    x, y, unit = _head_frame(f, size)

    def cover(distance: np.ndarray) -> np.ndarray:
        """Coverage of the region where `distance` (in head units) is positive."""
        return 1 / (1 + np.exp(np.clip(-2 * unit * distance, -30, 30)))

    def box(
        cx: np.ndarray | float,
        cy: np.ndarray | float,
        half_x: np.ndarray | float,
        half_y: np.ndarray | float,
    ) -> np.ndarray:
        return cover(np.minimum(half_x - np.abs(x - cx), half_y - np.abs(y - cy)))

    def paint(mask: np.ndarray, colour: np.ndarray) -> None:
        """Puts `colour` (`[N, 3]` or `[N, size, size, 3]`) over the image where `mask`."""
        colour = colour[:, None, None] if colour.ndim == 2 else colour
        image[...] += mask[..., None] * (colour - image)

    def constant(*rgb: float) -> np.ndarray:
        return np.full((len(hue), 3), rgb, np.float32)

    # Background: a muted hue.
    phase = 2 * np.pi * (hue[:, None] + np.array([0, 1 / 3, 2 / 3], np.float32))
    image = np.broadcast_to((0.5 + 0.22 * np.cos(phase))[:, None, None], (*x.shape, 3)).astype(
        np.float32
    )

    # Hair: a cap over the top of the head and, for marker 1, locks down both sides.
    grey = np.clip((f.age - 35) / 35, 0, 1)[:, None]
    position = 1.5 * (i[:, 7] + 1)
    hair = np.stack([np.interp(position, np.arange(4), channel) for channel in _HAIR.T], -1)
    hair = (hair + grey * (_GREY - hair)).astype(np.float32)
    half_x, half_y = _column(0.55 + 0.10 * i[:, 0]), _column(0.72 + 0.08 * i[:, 1])
    radius = np.sqrt((x / half_x) ** 2 + (y / half_y) ** 2)
    inside = (1 - radius) * np.minimum(half_x, half_y)  # near the edge, the distance to it
    marker = _column(f.marker)
    around = np.hypot(x / (half_x + 0.14), np.minimum(y, 0) / (half_y + 0.12))
    paint(cover(np.minimum((1 - around) * half_x, 0.4 - y)) * marker, hair)

    # Head, lit from one side.
    skin = np.array([0.85, 0.65, 0.5], np.float32) * (0.75 + 0.25 * i[:, 2:3])
    lit = (1 + 0.35 * _column(light) * x)[..., None]
    paint(cover(inside), skin[:, None, None] * lit)
    recession = 0.004 * np.maximum(f.age - 30, 0) * (1 - f.marker)
    line = _column(-0.55 + 0.06 * i[:, 6] - recession)
    paint(cover(np.minimum(inside + 0.09, line - y)), hair)

    # Wrinkles: one to four lines on the forehead, growing darker.
    contrast = 0.15 * np.clip((f.age - 30) / 40, 0, 1)
    count = np.ceil(4 * np.clip((f.age - 30) / 40, 0, 1))
    turn = _column(0.12 * px)  # features slide over the head as it turns
    for k in range(4):
        mask = box(turn, -0.46 + 0.06 * k, 0.28, 0.012)
        paint(mask * _column(contrast * (k < count)), constant(0, 0, 0))

    # Brows, eyes, nose, mouth.
    spread = _column(_eye_x(f))
    eye = _column(np.where(f.age < 19, 0.06 * 1.25, 0.06))
    for side in (-1, 1):
        cx = side * spread + turn
        brow_y = -0.31 + side * 0.25 * _column(expr) * (x - cx)
        paint(box(cx, brow_y, 0.10, 0.025), 0.5 * hair)
        paint(cover(eye - np.hypot(x - cx, y + 0.15)), constant(0.06, 0.06, 0.09))
    nose = _column(0.20 + 0.12 * i[:, 4])
    paint(box(turn, -0.06 + nose / 2, 0.04, nose / 2), 0.6 * skin[:, None, None] * lit)
    width = _column(0.20 + 0.06 * i[:, 5])
    along = (x - turn) / width
    mouth_y = 0.38 - 0.15 * _column(expr) * (np.minimum(along**2, 1.5) - 0.4)
    lips = np.where(f.marker[:, None] > 0, constant(0.80, 0.12, 0.18), 0.55 * skin)
    paint(box(turn, mouth_y, width, 0.035), lips)

    # Glasses: two rings and a bridge.
    rim = np.minimum(
        *(np.abs(np.hypot(x - side * spread - turn, y + 0.15) - 0.13) for side in (-1, 1))
    )
    bridge = box(turn, -0.17, spread - 0.13, 0.025)
    paint(np.maximum(cover(0.03 - rim), bridge) * _column(glasses), constant(0.05, 0.05, 0.05))
    return image
