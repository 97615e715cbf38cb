"""What a generator of `proc_faces` has understood: arithmetic on concepts, turning, removal.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 6.3. Where the paper shows
pictures, a classifier trained on real renders decides here what a sample shows, and its pose and
the place of its eyes are those of the most similar training image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from research.data.dataset import Record
from research.metrics import fid, latents
from research.metrics.features import FeatureNet
from research.metrics.neighbours import nearest
from research.papers.dcgan import attribution
from research.papers.dcgan.guided_responses import Layer

MAN, MAN_GLASSES, WOMAN, WOMAN_GLASSES = range(4)  # `faces.CLASSES`
_TERMS = ((1, MAN_GLASSES), (-1, MAN), (1, WOMAN))  # whose sum is a woman with glasses
# Share of the latents, those the classifier is surest of, that stand for a concept.
_CONFIDENT = 0.02
_RADIUS = 0.25  # of the noise around an answer
_EXAMINED, _BOXED = 150, 52  # samples looked at, and boxes drawn, in the paper

Numbers = dict[str, float]
Pictures = dict[str, tuple[np.ndarray, int]]  # name -> images [N, H, W, C] and rows of the grid


class Draw(Protocol):
    """The generator: latents `[N, Z]` to images `[N, H, W, C]` in [-1, 1]."""

    def __call__(self, z: jax.Array, *, keep: Mapping[str, jax.Array] | None = None) -> np.ndarray:
        """`keep`: factors on the feature maps of a layer, as in `models.dcgan.Generator`."""


def _images(records: Sequence[Record]) -> np.ndarray:
    return np.stack([record["image"] for record in records]) / np.float32(127.5) - 1


def arithmetic(
    draw: Draw,
    net: FeatureNet,
    target: np.ndarray,
    z: jax.Array,
    key: jax.Array,
    *,
    num_trials: int,
    num_copies: int = 4,
) -> tuple[Numbers, Pictures]:
    """Man with glasses - man + woman: is the result a woman with glasses?

    Args:
      draw: the generator.
      net: classifier of `faces.CLASSES`.
      target: data `[N, H, W, C]` in [-1, 1], women with glasses.
      z: random latents `[M, Z]`, from which those that show a concept are chosen.
      key: of the choices.
      num_trials: how often three exemplars of each concept are drawn.
      num_copies: noisy copies that one trial's answer is decoded to.

    Returns:
      "success": share of noisy copies that are women with glasses; "single": the same with one
      exemplar per concept; "base": share of random samples; "fid_latent", "fid_pixels":
      distance of the answers to real women with glasses, for sums of latents and of pixels.
      The two do not decide which is better: a sum of nine images, ghosted as it is, averages
      away the artefacts that every sample of a briefly trained generator has.
      Pictures: answers with eight neighbours each, and exemplars with pixel sums.
    """
    images = draw(z)
    keys = jax.random.split(key, 4)
    chosen = _choose_exemplars(keys, z, net.probs(images), num_trials)
    answers = latents.arithmetic([(sign, chosen[concept]) for sign, concept in _TERMS])
    single = latents.arithmetic([(sign, chosen[concept][:, :1]) for sign, concept in _TERMS])

    def decode(y: jax.Array, num: int) -> np.ndarray:
        return _draw_all(draw, latents.around(keys[3], y, num, _RADIUS))

    def shows_target(found: np.ndarray) -> float:
        return float((net.probs(found).argmax(1) == WOMAN_GLASSES).mean())

    means = [
        sign * _draw_all(draw, chosen[concept]).reshape(num_trials, 3, *images.shape[1:]).mean(1)
        for sign, concept in _TERMS
    ]
    in_pixels = np.clip(sum(means), -1, 1)
    aim = net.features(target)
    numbers = {
        "success": shows_target(decode(answers, num_copies)),
        "single": shows_target(decode(single, num_copies)),
        "base": shows_target(images),
        "fid_latent": fid.fid(net.features(decode(answers, 1)), aim),
        "fid_pixels": fid.fid(net.features(in_pixels), aim),
    }
    return numbers, {
        "arithmetic": (_with_neighbours(draw, keys, answers[:3]), 3),
        "arithmetic_terms": (_terms_and_sums(draw, chosen, in_pixels, answers), 6),
    }


def _draw_all(draw: Draw, z: jax.Array) -> np.ndarray:
    """Images `[M, H, W, C]` of latents `[..., Z]`, M in all."""
    return draw(z.reshape(-1, z.shape[-1]))


def _choose_exemplars(
    keys: jax.Array, z: jax.Array, probs: np.ndarray, num_trials: int
) -> dict[int, jax.Array]:
    """Latents `[num_trials, 3, Z]` of each concept in the sum."""
    among = max(3, int(_CONFIDENT * len(z)))
    return {
        concept: latents.exemplars(k, z, jnp.asarray(probs[:, concept]), (num_trials, 3), among)
        for k, (_, concept) in zip(keys, _TERMS, strict=False)
    }


def _with_neighbours(draw: Draw, keys: jax.Array, answers: jax.Array) -> np.ndarray:
    """Three answers `[3, Z]`, each in the middle of a square with eight noisy copies around it."""
    nine = jnp.concatenate(
        [
            latents.around(keys[3], answers, 4, _RADIUS),
            answers[:, None],
            latents.around(keys[2], answers, 4, _RADIUS),
        ],
        1,
    )
    images = _draw_all(draw, nine)
    # The grid is drawn row by row, and the squares stand side by side.
    squares = images.reshape(3, 3, 3, *images.shape[1:])
    return squares.swapaxes(0, 1).reshape(images.shape)


def _terms_and_sums(
    draw: Draw, chosen: Mapping[int, jax.Array], in_pixels: np.ndarray, answers: jax.Array
) -> np.ndarray:
    """Six trials, one a row: exemplars, then the sum of pixels and that of latents."""
    rows = []
    for i in range(6):
        rows += [draw(chosen[concept][i]) for _, concept in _TERMS]
        rows += [in_pixels[i : i + 1], draw(answers[i : i + 1])]
    return np.concatenate(rows)


def turn(
    draw: Draw, train: Sequence[Record], z: jax.Array, *, num_exemplars: int = 20
) -> tuple[Numbers, Pictures]:
    """Adds multiples of mean(left-looking z) - mean(right-looking z) to random z.

    Args:
      draw: the generator.
      train: records of `faces.load`.
      z: random latents `[M, Z]`.
      num_exemplars: latents averaged on either side.

    Returns:
      "shift": change of the horizontal pose, of [-1, 1], from one end to the other, on latents
      that did not define the vector. Pictures: one face per row, turning.
    """
    faces = _images(train)
    pose_of = np.array([r["pose"][0] for r in train])
    half = len(z) // 2

    def pose(images: np.ndarray) -> np.ndarray:
        return pose_of[nearest(images, faces)[0]]

    order = np.argsort(pose(draw(z[:half])))
    vector = latents.turn_vector(z[order[:num_exemplars]], z[order[-num_exemplars:]])
    moved = latents.along(z[half:], vector, 9)
    ends = [pose(draw(moved[:, i])).mean() for i in (0, -1)]
    shown = draw(moved[:8].reshape(-1, z.shape[-1]))
    return {"shift": float(ends[0] - ends[1])}, {"turn": (shown, 8)}


def removal(
    draw: Draw,
    layer: Layer,
    net: FeatureNet,
    train: Sequence[Record],
    z: jax.Array,
    seed: int,
) -> tuple[Numbers, Pictures]:
    """Zeroes the feature maps that draw glasses (section 6.3.2, "forgetting to draw").

    As many samples are examined, and as many of them boxed, as in the paper.

    Args:
      draw: the generator.
      layer: of the generator, whose maps are looked at.
      net: classifier of `faces.CLASSES`.
      train: records of `faces.load`; those most similar to samples with glasses give the boxes.
      z: random latents `[M, Z]`; the first 150 find the maps, the rest show the effect.
      seed: of the negatives of the regression, and of the control.

    Returns:
      "before", "after": share of samples with glasses; "control": the same after dropping
      equally many other maps (mean over ten draws); "same_marker": share of samples whose gender
      marker is still the one it was; "dropped": share of the layer's maps. Pictures: samples
      with glasses above the same without.
    """
    examined, rest = z[:_EXAMINED], z[_EXAMINED:]

    def glasses(images: np.ndarray) -> np.ndarray:
        probs = net.probs(images)
        return probs[:, MAN_GLASSES] + probs[:, WOMAN_GLASSES]

    known = draw(examined)
    worn = np.argsort(-glasses(known))[:_BOXED]
    with_glasses = [r for r in train if r["label"] % 2]
    index, _ = nearest(known[worn], _images(with_glasses))
    boxes = np.stack([with_glasses[i]["eyes"] for i in index])
    activations = layer.maps(examined)[worn]
    inside = attribution.on_map(boxes, activations.shape[1])
    dropped = attribution.concept_weights(activations, inside, seed) > 0

    def without(mask: np.ndarray) -> np.ndarray:
        return draw(rest, keep={layer.name: jnp.asarray(~mask, jnp.float32)})

    before, after = draw(rest), without(dropped)
    woman = [net.probs(images).argmax(1) >= WOMAN for images in (before, after)]
    rng = np.random.default_rng(seed)
    control = [(glasses(without(rng.permutation(dropped))) > 0.5).mean() for _ in range(10)]
    shown = np.argsort(-glasses(before))[:40:4]
    return {
        "before": float((glasses(before) > 0.5).mean()),
        "after": float((glasses(after) > 0.5).mean()),
        "control": float(np.mean(control)),
        "same_marker": float((woman[0] == woman[1]).mean()),
        "dropped": float(dropped.mean()),
    }, {"removal": (np.concatenate([before[shown], after[shown]]), 2)}


def study(
    draw: Draw,
    layer: Layer,
    net: FeatureNet,
    train: Sequence[Record],
    z: jax.Array,
    seed: int,
) -> tuple[dict[str, Numbers], Pictures]:
    """`arithmetic`, `turn` and `removal`, with their pictures; arguments as there."""
    target = _images([r for r in train if r["label"] == WOMAN_GLASSES][: len(z) // 8])
    key = jax.random.key(seed)
    studies = {
        "arithmetic": arithmetic(draw, net, target, z, key, num_trials=len(z) // 8),
        "turn": turn(draw, train, z[: len(z) // 8]),
        "removal": removal(draw, layer, net, train, z[: len(z) // 2], seed),
    }
    pictures: Pictures = {}
    for _, shown in studies.values():
        pictures |= shown
    return {name: numbers for name, (numbers, _) in studies.items()}, pictures
