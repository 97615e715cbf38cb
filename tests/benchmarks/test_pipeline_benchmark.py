"""Input pipeline: batches a second, one process.

`python -m pytest tests/benchmarks/test_pipeline_benchmark.py` (with the data in $LANDMARKS_DATA).
"""

import os
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from research import data
from research.data.dataset import Rows

BATCH = 128
SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


def shift_and_flip(element, rng):
    """The usual augmentation of CIFAR: 4 pixels of padding, a random crop, a random mirror."""
    image = element["image"]
    height, width, _ = image.shape
    padded = np.zeros((height + 8, width + 8, 3), image.dtype)
    padded[4:-4, 4:-4] = image
    row, column = rng.integers(0, 9, 2)
    image = padded[row : row + height, column : column + width]
    return {**element, "image": image[:, ::-1] if rng.random() < 0.5 else image}


@pytest.fixture(scope="module")
def folder():
    places = os.environ.get("LANDMARKS_DATA", "").split(os.pathsep)
    places.append(str(Path(__file__).resolve().parents[3] / "shared/tfds"))
    for place in places:
        if place and (Path(place) / "mnist").is_dir():
            return place
    pytest.skip("needs mnist and cifar10 in $LANDMARKS_DATA")


def stream(name, dataset):
    spec = {
        "image": jax.ShapeDtypeStruct(SHAPES[name], np.uint8),
        "label": jax.ShapeDtypeStruct((), np.int32),
    }
    transform = shift_and_flip if name == "cifar10" else None
    source = data.pipeline.stream(lambda: dataset, spec, BATCH, 0, transform)
    source(None)  # opens, and starts the threads
    return source


def run(benchmark, source):
    # More batches a round than are read ahead, or the first would be measured as free.
    batches = 4 * data.pipeline.BATCHES_AHEAD

    def take():
        for _ in range(batches):
            source(None)

    rounds = 5
    cpu = -time.process_time()
    benchmark.pedantic(take, rounds=rounds)
    cpu += time.process_time()
    benchmark.extra_info["batches/s"] = round(batches / benchmark.stats.stats.median, 1)
    # The wall time depends on who else uses the machine, this does not.
    benchmark.extra_info["CPU ms/batch"] = round(1e3 * cpu / (rounds * batches), 2)
    benchmark.extra_info["images/s"] = round(BATCH * batches / benchmark.stats.stats.median)


@pytest.mark.parametrize("name", SHAPES)
def test_decoding_every_image(benchmark, folder, name):
    run(benchmark, stream(name, data.load(name, "train", folder)))


@pytest.mark.parametrize("name", SHAPES)
def test_in_memory(benchmark, name):
    rows = {
        "image": np.zeros((10_000, *SHAPES[name]), np.uint8),
        "label": np.zeros(10_000, np.int64),
    }
    run(benchmark, stream(name, Rows(rows)))
