"""The studies on a toy generator whose latents are the concepts: their answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.metrics import latents
from research.papers.dcgan import face_concepts
from research.papers.dcgan.guided_responses import Layer

SIZE, CELLS = 16, 8
EYES = (slice(None), slice(2, 4), slice(1, 7))  # cells of the map where glasses go


def toy_maps(z):
    """[N, 8, 8, 4]: map 0 draws glasses, map 1 hair, map 2 a mark that moves, map 3 noise."""
    z = np.asarray(z)
    maps = np.zeros((len(z), CELLS, CELLS, 4), np.float32)
    maps[(*EYES, 0)] = np.maximum(z[:, 1], 0)[:, None, None]
    maps[:, :2, :, 1] = np.maximum(z[:, 0], 0)[:, None, None]
    column = np.clip(np.round(3.5 + 3 * z[:, 2]), 0, 7).astype(int)
    maps[np.arange(len(z)), 6, column, 2] = 1
    maps[..., 3] = np.random.default_rng(0).uniform(0, 0.2, (CELLS, CELLS))
    return maps


def draw(z, *, keep=None):
    maps = toy_maps(z)
    if keep is not None:
        maps = maps * np.asarray(keep["map1"])
    rgb = maps[..., [0, 1, 2]]
    return 2 * rgb.repeat(2, 1).repeat(2, 2).clip(0, 1) - 1


class Oracle:
    name, weights_sha256 = "oracle", "0" * 64

    def probs(self, images):
        glasses, hair = images[:, 5, 4, 0] > -0.9, images[:, 1, 4, 1] > -0.9
        return np.eye(4)[2 * hair + glasses]

    def features(self, images):
        return images[:, [1, 5, 13], 4].reshape(len(images), -1)[:, [0, 1, 3, 4]]


@pytest.fixture(scope="module")
def z():
    return jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (1200, 6)), jnp.float32)


@pytest.fixture(scope="module")
def train(z):
    eyes = np.zeros((SIZE, SIZE), bool)
    eyes[4:8, 2:14] = True
    images = np.round((draw(z) + 1) * 127.5).astype(np.uint8)
    label = Oracle().probs(draw(z)).argmax(1)
    return [
        {"image": i, "label": k, "eyes": eyes, "pose": np.asarray([p, 0])}
        for i, k, p in zip(images, label, np.asarray(z[:, 2]), strict=True)
    ]


def target(train):
    women = [r["image"] for r in train if r["label"] == face_concepts.WOMAN_GLASSES]
    return np.stack(women) / np.float32(127.5) - 1


def test_arithmetic_works_where_concepts_are_directions(z, train):
    numbers, pictures = face_concepts.arithmetic(
        draw, Oracle(), target(train), z, jax.random.key(0), num_trials=60
    )
    assert numbers["success"] > 0.8 > 0.35 > numbers["base"]
    assert pictures["arithmetic"][0].shape == (27, SIZE, SIZE, 3)


def test_arithmetic_fails_where_the_wrong_concept_is_subtracted(z, train, monkeypatch):
    right = latents.arithmetic

    def wrong(terms):
        return right([(-sign, exemplars) for sign, exemplars in terms])

    monkeypatch.setattr(latents, "arithmetic", wrong)
    numbers, _ = face_concepts.arithmetic(
        draw, Oracle(), target(train), z, jax.random.key(0), num_trials=60
    )
    assert numbers["success"] < 0.2


def test_turn_moves_the_pose(z, train):
    numbers, pictures = face_concepts.turn(draw, train, z[:300])
    assert numbers["shift"] > 0.3 and pictures["turn"][0].shape == (72, SIZE, SIZE, 3)


def test_removal_finds_the_map_of_the_glasses_and_no_other(z, train):
    numbers, _ = face_concepts.removal(
        draw, Layer("map1", toy_maps), Oracle(), train, z[:600], seed=0
    )
    assert numbers["before"] > 0.3 and numbers["after"] == 0
    assert numbers["same_marker"] == 1
    assert numbers["control"] > 0.1  # some of the drawn maps are the right one
