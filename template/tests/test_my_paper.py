"""The template's own test: an update of the script against the paper's formula, in NumPy."""

from pathlib import Path

import jax
import numpy as np
import pytest

from research import app, config

# In tests/papers/my_paper/ this is `parents[3]`.
FOLDER = Path(__file__).resolve().parents[1]


@pytest.fixture
def script():
    return config.load_module(FOLDER / "experiments" / "my_paper.py")


def gradient(params, batch):
    """Of half the mean squared distance to the one-hot labels."""
    x = batch["image"].reshape(len(batch["image"]), -1) / 16
    difference = x @ params["kernel"] + params["bias"] - np.eye(10)[batch["label"]]
    return {"kernel": x.T @ difference / len(x), "bias": difference.mean(0)}


def test_two_steps_are_the_two_step_method(script):
    setting = config.load_config(FOLDER / "configs" / "my_paper.py", "smoke")
    experiment = app.build(script, setting)
    alpha, beta = setting.optimizer.learning_rate, setting.optimizer.momentum
    state = experiment.init(jax.random.key(0))
    w = jax.device_get(state.learner.params)
    before = w
    for t in range(2):
        batch = experiment.source(state)
        state, _ = experiment.step(state, batch, t, jax.random.key(t))
        grads = gradient(w, batch)
        w, before = {k: w[k] - alpha * grads[k] + beta * (w[k] - before[k]) for k in w}, w
    for name in w:
        np.testing.assert_allclose(state.learner.params[name], w[name], rtol=1e-4, atol=1e-6)
