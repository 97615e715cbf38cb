"""A toy script: fits a line. For tests of the entry point."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from research import app, training
from research.core import Aux, Experiment, Learner
from research.report.claims import Claim, Paper

PAPER = Paper("Lines", "A. Author", 1805, "", "A line is fitted.", {"line": 5}, ("test/error",))


def build(config):
    learner = Learner(nn.Dense(1), optax.sgd(config.learning_rate))

    def loss_fn(variables, batch, key):
        x = jax.random.normal(key, (16, 4))
        loss = jnp.mean((learner.apply(variables, x)[:, 0] - x.sum(-1)) ** 2)
        return jnp.where(loss < config.worst_loss, loss, jnp.nan), Aux()

    def test(state, key):
        return {"error": jnp.abs(state.params["kernel"] - 1).max()}

    return Experiment(
        init=lambda key: learner.init(key, jnp.zeros((1, 4))),
        step=lambda state, batch, key: learner.minimize(state, loss_fn, batch, key),
        num_steps=config.num_steps,
        evals={"test": test},
    )


def main(config, workdir):
    experiment = build(config)
    return training.evaluate(experiment, training.run(experiment, config, workdir), config)


def claims(results):
    slow, fast = results["slow"]["test/error"], results["fast"]["test/error"]
    text = f"{fast.max():.2g} < {slow.min():.2g}"
    return [Claim("fast learns faster than slow", "so it does", text, fast.max() < slow.min())]


if __name__ == "__main__":
    app.run()
