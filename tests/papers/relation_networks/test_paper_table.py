"""The paper's sizes and schedules, and counts part by part."""

import functools

import jax
import numpy as np
import pytest

from configs.relation_networks import VARIANTS, get_config
from experiments.relation_networks import PAPER, RelationNetworks
from research.core.tree import named_leaves
from tests.rl.paper_table import check

SORT_OF_CLEVR = {
    "seen": "pixels",
    "batch_size": 64,
    "optimizer.learning_rate": 1e-4,
    "model.g": (2000,) * 4,
    "model.f": (2000, 1000, 500, 100),
    "model.channels": (32, 64, 128, 256),
    "model.num_answers": 10,
    "data.num_train": 9800,
    "data.num_test": 200,
    "data.questions_per_group": 10,
}
CLEVR = {
    "task": "clevr",
    "seen": "pixels",
    "batch_size": 640,
    "optimizer.learning_rate": 2.5e-4,
    "model.g": (256,) * 4,
    "model.f": (256, 256),
    "model.dropout": 0.5,
    "model.channels": (24,) * 4,
    "model.embedding_size": 32,
    "model.question_units": 128,
    "model.num_answers": 29,
    "data.image_size": 128,
    "data.padding": 4,  # to 136
    "data.rotation": 0.05,
}
CLEVR_STATES = {
    "task": "clevr",
    "seen": "states",
    "batch_size": 64,
    "optimizer.learning_rate": 1e-4,
    "model.g": (512,) * 4,
    "model.f": (512, 1024),
    "model.dropout": 0.02,
    "model.question_units": 256,
}
BABI = {
    "task": "babi",
    "batch_size": 32,
    "optimizer.learning_rate": 2e-4,
    "model.g": (256,) * 4,
    "model.f": (256, 512),
    "model.num_answers": 159,
    "model.sentence_units": 32,
    "model.question_units": 32,
    "model.num_tags": 40,
    "data.sentences": 20,
    "data.name": "babi/en-10k",
}


@pytest.mark.parametrize(
    ("variant", "table"),
    [
        ("paper", SORT_OF_CLEVR),
        ("clevr", CLEVR),
        ("clevr_states", CLEVR_STATES),
        ("paper_babi", BABI),
    ],
)
def test_settings(variant, table):
    config = get_config(variant)
    check(config, table)
    assert config.schedule.name == "constant"


@functools.cache
def counts(variant):
    """Parameters by part: conv, g, f, and what reads words."""
    experiment = RelationNetworks(get_config(variant))
    shapes = jax.eval_shape(experiment.init, jax.random.key(0)).learner.params
    found = {}
    for path, leaf in named_leaves(shapes).items():
        first, second = path.split("/")[:2]
        part = second[0] if first == "core" else first.removeprefix("read_")
        found[part] = found.get(part, 0) + int(np.prod(leaf.shape))
    return found


def test_published_counts_of_clevr():
    found = counts("clevr")
    assert (found["conv"], found["g"], found["f"]) == (16_488, 243_712, 139_037)
    assert sum(found.values()) == PAPER.parameters["clevr"]


def test_counts_of_the_others():
    assert counts("paper") == {
        "conv": sum(9 * a * b + 3 * b for a, b in ((3, 32), (32, 64), (64, 128), (128, 256))),
        "g": 527 * 2000 + 2000 + 3 * (2000 * 2000 + 2000),
        "f": 2000 * 2000 + 2000 + 2000 * 1000 + 1000 + 1000 * 500 + 500 + 500 * 100 + 100 + 1010,
    }
    assert counts("paper_babi")["g"] == 176 * 256 + 256 + 3 * (256 * 256 + 256)
    assert counts("clevr_states")["g"] == 292 * 512 + 512 + 3 * (512 * 512 + 512)
    assert set(counts("clevr_states")) == {"embed", "question", "g", "f"}


def test_both_arms_see_as_much():
    config = get_config()
    assert set(config.arms) == {"rn", "mlp"}
    for setting in config.arms.values():
        assert not set(setting) - {"model.core", "optimizer.learning_rate"}
    assert {"smoke", "pixels", "stories", "babi", "paper", "clevr"} <= set(VARIANTS)
