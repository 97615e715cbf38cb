"""Demos of classifiers of images: a picture, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from research.core.errors import UserError
from research.data.images.kept import KeptImages
from research.report.demo import Choice, Demo, Image, Probabilities

TOP = 5


def classify_demo(
    kept: KeptImages,
    classify: Callable[[dict[str, Any]], Any],
    *,
    says: str = "What does a picture show? Your own, or one of those that the run was tested on; "
    "the five likeliest classes, as the network sees them.",
) -> Demo:
    """A demo that classifies any picture as the experiment classifies its test images.

    Args:
      kept: what a run keeps of its images.
      classify: a record of one image, as `KeptImages.record` makes it, to probabilities `[K]`.
      says: see `Demo`.
    """
    examples = {f"{i}: {e.class_name}": e.picture for i, e in enumerate(kept.examples)}

    def run(picture: np.ndarray | None, example: str) -> dict[str, Any]:
        shown = examples[example] if picture is None else np.asarray(picture)
        if min(shown.shape[:2]) < 2:
            raise UserError(
                f"a picture of {shown.shape[1]} x {shown.shape[0]} pixels shows nothing"
            )
        probabilities = np.asarray(classify(kept.record(shown)), np.float64)
        best = np.argsort(-probabilities, kind="stable")[:TOP]
        names = kept.class_names
        return {"classes": {names[i]: float(probabilities[i]) for i in best}, "seen": shown}

    return Demo(
        title="What is in this picture?",
        says=says,
        inputs={
            "picture": Image("a picture of your own; without one, the example is taken"),
            "example": Choice("test image", list(examples), next(iter(examples))),
        },
        outputs={
            "classes": Probabilities("the five likeliest classes"),
            "seen": Image("the picture"),
        },
        run=run,
        examples=[{"example": name} for name in examples],
    )


def classify_views(
    kept: KeptImages, probabilities: Callable[[Any], tuple[Any, Any]]
) -> Callable[[dict[str, Any]], np.ndarray]:
    """`classify` of `classify_demo` for an experiment whose test images are cut into views.

    Args:
      kept: what a run keeps of its images.
      probabilities: rows of `Images.test_rows`, stacked, to probabilities `[B, K]` and labels.
    """

    def classify(record: dict[str, Any]) -> np.ndarray:
        views = tuple(view[None] for view in kept.images.views(record))
        return np.asarray(probabilities({"views": views, "label": np.zeros(1, np.int32)})[0])[0]

    return classify
