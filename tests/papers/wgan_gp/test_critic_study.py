"""Gradients by layer, weights at their bounds, pictures of a critic."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.core import Learner
from research.models.dense_gan import Critic
from research.papers.wgan_gp import critic_study


@pytest.fixture(scope="module")
def critic():
    learner = Learner(Critic(6, 3), optax.sgd(0.1))
    return learner, learner.init(jax.random.key(0), jnp.zeros((1, 2)), train=True)


def test_slopes_of_layers_are_those_of_backpropagation(critic):
    learner, state = critic
    real, fake = np.random.default_rng(0).normal(0, 1, (2, 5, 2)).astype(np.float32)
    p = jax.tree.map(np.asarray, state.params)
    squares = np.zeros(3)
    for x in (real, fake):
        hidden = []
        for i in (1, 2, 3):
            x = x @ p[f"dense{i}"]["kernel"] + p[f"dense{i}"]["bias"]
            hidden.append(x)
            x = np.maximum(x, 0)
        slope = np.repeat(p["score"]["kernel"].T, 5, 0) / 5
        for i in (2, 1, 0):
            squares[i] += (slope**2).sum()
            slope = (slope * (hidden[i] > 0)) @ p[f"dense{i + 1}"]["kernel"].T
    found = critic_study.layer_slopes(learner, state, jnp.asarray(real), jnp.asarray(fake))
    np.testing.assert_allclose(found, np.sqrt(squares), rtol=1e-4)


def test_a_dead_first_layer_is_the_worst_that_can_be_measured():
    assert critic_study.first_to_last([1e-3, 5.0, 1.0]) == pytest.approx(-3)
    assert critic_study.first_to_last([0.0, 0.0, 0.0]) < -37
    assert critic_study.first_to_last([0.0, 1.0, 1e-30]) < -37


def test_share_of_weights_at_the_bound(critic):
    weights = critic_study.weights({"a": {"kernel": np.array([[0.01, -0.0096], [0, 0.009]])}})
    assert critic_study.share_at_bound(weights, 0.01) == 0.5
    _, state = critic
    assert len(critic_study.weights(state.params)) == 2 * 6 + 6 * 6 * 2 + 6  # no biases


def test_a_critic_that_says_the_same_of_everything_tells_nothing():
    assert critic_study.share_above(jnp.zeros(4), jnp.zeros(6)) == 0.5
    assert critic_study.share_above(jnp.array([1.0, 2.0]), jnp.array([0.0, 1.5])) == 0.75


def test_surface_is_read_as_the_plane_lies(critic):
    learner, state = critic
    surface = critic_study.value_surface(learner, state, points=5)
    corner = jnp.array(
        [[critic_study.EXTENT, -critic_study.EXTENT]]
    )  # x at its end, y at its start
    scores, _ = learner.apply(state, corner, train=False)
    np.testing.assert_allclose(surface[0, -1], scores[0], rtol=1e-5)
    picture = critic_study.surface_picture(surface, np.zeros((3, 2)), np.zeros((0, 2)))
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and picture.std() > 5
