"""The detector's updates against NumPy, and which looks it is trained and tested on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from configs.domain_randomization import get_config
from experiments import domain_randomization
from research import app
from tests.rl import reference

SIZE, B = 8, 6


def build(**changes):
    config = get_config("smoke")
    config.update(learning_rate=0.02, rate_end=0.1, num_steps=10, max_grad_norm=1.0)
    config.update_from_flattened_dict(changes)
    return app.build(domain_randomization, config)


def test_two_updates_regress_positions():
    """Squared distances in metres; images in -1..1; Adam, at a rate that falls by a cosine."""
    experiment = build()
    network = reference.Linear("q", actions=3)
    learner = experiment.learner = dataclasses.replace(experiment.learner, model=network)
    rng = np.random.default_rng(0)
    state = learner.init(jax.random.key(0), jnp.zeros((1, SIZE, 1, 1)))
    params, adam = reference.as_float64(state.params), reference.Adam(0.02, 1e-8)
    step = jax.jit(lambda s, b: learner.minimize(s, experiment.loss, b, None))
    for t in range(2):
        images, true = rng.random((B, SIZE, 1, 1)), rng.normal(size=(B, 3))
        batch = jnp.asarray(images, jnp.float32), jnp.asarray(true, jnp.float32)
        state, metrics = step(state, batch)
        x = 2 * images.reshape(B, SIZE) - 1

        def loss(w, x=x, true=true):
            return ((x @ w["value"] - true) ** 2).sum(axis=1).mean()

        away = np.linalg.norm(x @ params["value"] - true, axis=1).mean()
        np.testing.assert_allclose(metrics["error_cm"], 100 * away, rtol=1e-3)
        adam.rate = 0.02 * (0.1 + 0.9 * (1 + np.cos(np.pi * t / 10)) / 2)
        params = adam(params, reference.clipped(reference.gradient(loss, params), 1.0))
    reference.same(state.params, params)


def test_the_unseen_look_is_the_same_for_all_and_no_look_of_training():
    experiment = build()
    state = jax.jit(experiment.init)(jax.random.key(0))
    other = state.replace(domain=state.domain + 1)  # other textures
    keys = jax.random.key_data(jax.random.split(jax.random.key(1), 3))
    shown = {
        look: [experiment._detect[look](s, keys).images for s in (state, other)]
        for look in domain_randomization.LOOKS
    }
    np.testing.assert_array_equal(*shown["unseen"])
    assert (np.asarray(shown["trained"][0]) != np.asarray(shown["trained"][1])).mean() > 0.3
    assert (np.asarray(shown["trained"][0]) != np.asarray(shown["unseen"][0])).mean() > 0.3


def test_what_is_random_is_what_the_config_says():
    fixed = build(
        **{
            "randomization.camera": False,
            "randomization.distractors": 0,
            "randomization.noise": 0.0,
            "randomization.textures": 1,
        }
    )
    assert (fixed.look.textures, fixed.look.noise) == (1, 0.0)
    assert not fixed.scenes.camera and fixed.scenes.distractors == 0
    # What it is tested on stays as it is.
    assert fixed.unseen_scenes.camera and fixed.unseen_scenes.distractors == 1
