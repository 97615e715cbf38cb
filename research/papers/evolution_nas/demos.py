"""What a finished search shows a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from research.data.images.kept import KeptImages
from research.papers.evolution_nas.figures import genotype_picture, lineage
from research.papers.evolution_nas.spaces import to_genotype
from research.report.demo import Demo, Image, Number, Probabilities, Text
from research.report.image_demo import TOP


def cells_demo(
    kept: KeptImages,
    classify: Callable[[Any], np.ndarray],
    models: Any,
    fitness: np.ndarray,
    parent: np.ndarray,
) -> Demo:
    """The best cells as a graph, any ancestor's too, and the class of a picture.

    Args:
      kept: of the images.
      classify: a record to probabilities `[K]`.
      models, fitness, parent: of the search's history, on the host.
    """
    line = lineage(parent, int(fitness.argmax()))

    def run(picture: np.ndarray, generations: int) -> Mapping[str, Any]:
        number = line[-1 - generations]
        cells = jax.tree.map(lambda all_models: all_models[number], models)
        shares = np.asarray(classify(kept.record(picture)), np.float64)
        best = np.argsort(-shares, kind="stable")[:TOP]
        return {
            "classes": {kept.class_names[i]: float(shares[i]) for i in best},
            "cells": genotype_picture(to_genotype(cells)),
            "line": " -> ".join(f"{n} ({fitness[n]:.1f} %)" for n in line),
        }

    return Demo(
        title="What evolution has found",
        says="Two cells that evolved on validation images, and a network that was built of them "
        "and trained. It classifies a picture; beside it are its cells, or those of an ancestor.",
        inputs={
            "picture": Image("a picture", kept.examples[0].picture),
            "generations": Number("cells of so many generations ago", 0, 0, len(line) - 1),
        },
        outputs={
            "classes": Probabilities("what it shows, by the network of the newest cells"),
            "cells": Image("the cells"),
            "line": Text("models from the first to the best, with validation accuracy"),
        },
        run=run,
        examples=[{"generations": generations} for generations in sorted({0, len(line) - 1})],
    )


def bits_demo(models: np.ndarray, fitness: np.ndarray, parent: np.ndarray) -> Demo:
    """The line of the model that a search of bit strings reports.

    Args:
      models: `[R, M, D]`, of R searches.
      fitness, parent: `[R, M]`.
    """

    def run(search: int) -> Mapping[str, Any]:
        line = lineage(parent[search], int(fitness[search].argmax()))
        bits = models[search][line]
        picture = np.where(bits, 255, 40).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        return {"line": picture, "accuracy": float(bits[-1].mean())}

    return Demo(
        title="A line of bit strings",
        says="Each row is a string, white where a bit is one; each is a mutation of the one above "
        "it. The last is what the search reports: its noisy fitness was the highest.",
        inputs={"search": Number("which of the searches", 0, 0, len(fitness) - 1)},
        outputs={
            "line": Image("from the first string to the reported one"),
            "accuracy": Number("share of ones in the last", 0, 0, 1, 0.001),
        },
        run=run,
    )
