"""Figures 1, 3 and 4 of the paper: an attack in pictures, and logits along its direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


class Said(NamedTuple):
    """An input `[S, S, C]` in 0 to 1, and what a classifier says of it."""

    image: np.ndarray
    class_name: str
    probability: float


ROWS = 3  # of `draw_attacks`


def said(images: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> list[Said]:
    """The first of inputs `[N, S, S, C]` with their likeliest classes, by `[N, K]`."""
    best = probabilities.argmax(-1)
    return [
        Said(np.asarray(images[i]), names[best[i]], float(probabilities[i, best[i]]))
        for i in range(min(ROWS, len(best)))
    ]


def grey_signs(signs: np.ndarray) -> np.ndarray:
    """A picture of signs `[S, S, C]`: uint8, -1 black, 0 grey, +1 white."""
    return np.round(127.5 * (signs + 1)).astype(np.uint8)


def grey_pixels(image: np.ndarray) -> np.ndarray:
    """A picture of an image `[S, S, C]` whose pixels outside 0 to 1 are cut off: uint8."""
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def draw_attacks(
    path: Path,
    before: Sequence[Said],
    signs: Sequence[np.ndarray],
    after: Sequence[Said],
    eps: float,
) -> None:
    """Draws a row for each input: the image, the sign of the gradient, and their sum.

    Args:
      path: PNG to write.
      before, after: inputs, and what they become.
      signs: the direction of each, in -1 to 1.
      eps: the step along it.
    """
    rows = len(before)
    figure, axes = plt.subplots(
        rows, 3, figsize=(5.4, 2.05 * rows), layout="constrained", squeeze=False
    )
    for i in range(rows):
        pictures = (grey_pixels(before[i].image), grey_signs(signs[i]), grey_pixels(after[i].image))
        for axis, picture in zip(axes[i], pictures, strict=True):
            picture = picture[..., 0] if picture.shape[-1] == 1 else picture
            axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        for column, said in ((0, before[i]), (2, after[i])):
            axes[i, column].set_xlabel(f"«{said.class_name}», {100 * said.probability:.1f} %")
    axes[0, 0].set_title("x")
    axes[0, 1].set_title("sign of the gradient")
    axes[0, 2].set_title(f"x + {eps:g} x sign")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def draw_sweep(
    path: Path,
    epsilons: np.ndarray,
    logits: np.ndarray,
    class_names: Sequence[str],
    label: int,
    errors: Mapping[str, np.ndarray],
) -> None:
    """Draws logits of one input along one direction, and errors over the size of the step.

    Args:
      path: PNG to write.
      epsilons: `[E]`, multiples of the direction, from below 0 to above.
      logits: `[E, K]`, of one input.
      class_names: of the K classes.
      label: the input's true class.
      errors: kind of step -> error in percent `[E]`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for k, name in enumerate(class_names):
        style = {"color": "black", "linewidth": 2.2} if k == label else {"linewidth": 1.1}
        left.plot(epsilons, logits[:, k], label=f"{name} (true)" if k == label else name, **style)
    left.set(xlabel="epsilon", ylabel="logit", title="one input along its sign of the gradient")
    left.legend(frameon=False, fontsize=8, ncols=2)
    for name, values in errors.items():
        right.plot(epsilons, values, label=name)
    right.set(xlabel="epsilon", ylabel="error, %", title="test images", ylim=(-2, 102))
    right.legend(frameon=False)
    for axes in (left, right):
        axes.locator_params(axis="x", nbins=5)
        axes.axvline(0, color="grey", linewidth=0.8, linestyle=":")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
