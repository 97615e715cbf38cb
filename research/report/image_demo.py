"""Demos of classifiers of images: a picture, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from research.core.errors import UserError
from research.data.images.kept import KeptImages
from research.report.demo import Demo, Image, Probabilities

TOP = 5


def classify_demo(
    kept: KeptImages,
    classify: Callable[[dict[str, Any]], Any],
    *,
    says: str = "The five likeliest classes of a picture: your own, or one of those that the run "
    "was tested on.",
) -> Demo:
    """A demo that classifies any picture as the experiment classifies its test images.

    Args:
      kept: what a run keeps of its images.
      classify: a record of one image, as `KeptImages.record` makes it, to probabilities `[K]`.
      says: see `Demo`.
    """
    examples = [example.picture for example in kept.examples]

    def run(picture: np.ndarray) -> dict[str, Any]:
        if min(picture.shape[:2]) < 2:
            shape = f"{picture.shape[1]} x {picture.shape[0]}"
            raise UserError(f"a picture of {shape} pixels shows nothing")
        probabilities = np.asarray(classify(kept.record(picture)), np.float64)
        best = np.argsort(-probabilities, kind="stable")[:TOP]
        return {"classes": {kept.class_names[i]: float(probabilities[i]) for i in best}}

    return Demo(
        title="What is in this picture?",
        says=says,
        inputs={"picture": Image("a picture", examples[0])},
        outputs={"classes": Probabilities("the five likeliest classes")},
        run=run,
        examples=[{"picture": picture} for picture in examples],
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
