"""A toy script: fits a line. For tests of the entry point."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from research import app
from research.core import Aux, Experiment, Learner, UserError
from research.report.claims import Paper
from research.report.demo import Demo, Image, Number, Text

PAPER = Paper("Lines", "A. Author", 1805, "", "A line is fitted.", {"line": 5}, ("test/error",))


class Line(Experiment):
    def __init__(self, config):
        self.learner = Learner(nn.Dense(1), optax.sgd(config.learning_rate))
        self.worst_loss = config.worst_loss
        self.num_steps = config.num_steps

    def init(self, key):
        return self.learner.init(key, jnp.zeros((1, 4)))

    def loss(self, variables, batch, key):
        x = jax.random.normal(key, (16, 4))
        loss = jnp.mean((self.learner.apply(variables, x)[:, 0] - x.sum(-1)) ** 2)
        return jnp.where(loss < self.worst_loss, loss, jnp.nan), Aux()

    def step(self, state, batch, t, key):
        return self.learner.minimize(state, self.loss, batch, key)

    def evaluate(self, state, key):
        return {"test/error": jnp.abs(state.params["kernel"] - 1).max()}


def demo(experiment, state):
    def run(x, times):
        if x == "infinity":
            raise UserError("x is finite")
        y = experiment.learner.apply(state, jnp.full((1, 4), float(x)))[0, 0]
        return {"y": f"{times * float(y):.3f}", "line": np.full((8, 8), 255, np.uint8)}

    return Demo(
        title="Where is the line?",
        says="At x.",
        inputs={"x": Text("x", "1"), "times": Number("factor", 1, 1, 9)},
        outputs={"y": Text("y"), "line": Image("the line")},
        run=run,
        examples=[{"x": "2"}],
    )


def claims(results):
    error = results["test/error"]
    return [error.above("slow", "fast", claim="fast learns faster", paper="so it does")]


if __name__ == "__main__":
    app.run()
