"""Small images at random places on wide or tall canvases: photographs of all shapes, in little."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from research.data.dataset import Dataset, Lazy, Record


class CanvasSplits:
    """The splits of an image set, their images placed on canvases; each is made once.

    Args:
      open_split: `split -> Dataset` of the images.
      counts: canvases of each split; its place in this order is the seed of its shapes and places.
      side, longs: see `place`.
    """

    def __init__(
        self,
        open_split: Callable[[str], Dataset],
        counts: Mapping[str, int],
        side: int,
        longs: Sequence[int],
    ):
        self.open_split = open_split
        self.counts = counts
        self.side = side
        self.longs = longs
        self._placed: dict[str, Dataset] = {}

    def __call__(self, split: str) -> Dataset:
        """The canvases of a split that `counts` has."""
        if split not in self._placed:
            self._placed[split] = place(
                self.open_split(split),
                self.counts[split],
                list(self.counts).index(split),
                self.side,
                self.longs,
            )
        return self._placed[split]


def place(dataset: Dataset, num: int, seed: int, side: int, longs: Sequence[int]) -> Dataset:
    """`num` canvases of `side` x one of `longs` pixels, or as tall as that, on each an image.

    Args:
      dataset: square images, bright on black: digits (0..16) or MNIST (0..255).
      num: how many; images are used in turn, so more of them than images are the same at other
        places.
      seed: of shapes and places.
      side: short side, a multiple of the images', which are scaled up by repeating pixels.
      longs: long sides, each as often as another.

    Returns:
      Records "image" uint8 `[H, W]`, "label", and the ground truth "offset", pixels from the left
      (or the top) at which the image lies.
    """
    images, labels = (np.stack([r[name] for r in dataset]) for name in ("image", "label"))
    images = images.reshape(images.shape[:3]).astype(np.float32)
    # The darkest is black and the brightest white, whatever the units.
    images = np.round(images * (255 / images.max())).astype(np.uint8)
    rng = np.random.default_rng(seed)
    repeat = side // images.shape[1]
    long = rng.choice(np.array(longs), num)
    offset = rng.integers(0, long - side + 1)
    tall = rng.random(num) < 0.5

    def read(index: int) -> Record:
        image = images[index % len(images)].repeat(repeat, 0).repeat(repeat, 1)
        start = int(offset[index])
        around = (start, int(long[index]) - side - start)
        canvas = np.pad(image, (around, (0, 0)) if tall[index] else ((0, 0), around))
        return {"image": canvas, "label": labels[index % len(images)], "offset": start}

    said = f"{num} canvases {side}x{list(longs)} of: {dataset.origin}"
    return Dataset(Lazy(range(num), read), said, dataset.class_names)
