"""A toy script that says what it is about to do, for those who want to disturb it there.

Where $MOMENT names a moment, this process makes the file $MOMENT_FILE, followed by its number, when
it comes to that moment for the $MOMENT_TIME-th time (the first), and stays there for a while.
"""

import os
import time
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from research import app, training
from research.core import Aux, Experiment, Learner, Source
from research.report.claims import Paper

PAPER = Paper("Moments", "A. Author", 1805, "", "A line is fitted.", {}, ("test/error",))
MOMENTS = ("import", "build", "open", "compile", "step", "save", "evaluate", "decode", "claims")
ROWS, FEATURES = 8, 4
seen = dict.fromkeys(MOMENTS, 0)


def arrive(moment):
    """Says that this moment has come."""
    seen[moment] += 1
    if os.environ.get("MOMENT") == moment:
        if seen[moment] == int(os.environ.get("MOMENT_TIME", 1)):
            Path(os.environ["MOMENT_FILE"] + os.environ.get("JAX_PROCESS_ID", "0")).touch()
            time.sleep(float(os.environ.get("MOMENT_SECONDS", 3)))


class Numbers(Source):
    """Global batch t is a function of t."""

    origin, prefetch = "numbers", 0

    def __init__(self):
        self.spec = {"x": jax.ShapeDtypeStruct((ROWS, FEATURES), jnp.float32)}
        self.index = 0

    def open(self):
        arrive("open")

    def __call__(self, state):
        arrive("step")
        x = np.random.default_rng(self.index).normal(size=(ROWS, FEATURES)).astype(np.float32)
        self.index += 1
        own = ROWS // jax.process_count()
        return {"x": x[jax.process_index() * own :][:own]}

    def get_state(self):
        arrive("save")  # right before a checkpoint, but also after a batch
        return {"index": self.index}

    def set_state(self, state):
        self.index = state["index"]


class Moments(Experiment):
    def __init__(self, config):
        arrive("build")
        rate = config.rate
        if config.decay:
            rate = optax.linear_schedule(config.rate, 0.0, config.num_steps)
        self.learner = Learner(nn.Dense(config.width), optax.adam(rate))
        self.num_steps = config.num_steps
        self.source = Numbers()

    def init(self, key):
        return self.learner.init(key, jnp.zeros((1, FEATURES)))

    def loss(self, variables, batch, key):
        y = self.learner.apply(variables, batch["x"]).sum(-1)
        noise = 0.1 * jax.random.normal(key)
        return jnp.mean((y - batch["x"].sum(-1) + noise) ** 2), Aux()

    def step(self, state, batch, t, key):
        arrive("compile")
        return self.learner.minimize(state, self.loss, batch, key)

    def evaluate(self, state, key):
        arrive("evaluate")
        return {"test/error": jnp.abs(state.params["kernel"].sum(-1) - 1).max()}


def main(experiment, config, workdir):
    state, numbers = training.run(experiment, config, workdir)
    arrive("decode")
    if jax.process_index() == 0:
        (workdir / "decoded.txt").write_text(str(np.asarray(state.params["bias"]).tolist()))
    return numbers


def claims(results):
    arrive("claims")
    error = results["test/error"]
    return [error.above("first", "second", claim="no rate is best", paper="", judged=False)]


arrive("import")

if __name__ == "__main__":
    app.run()
