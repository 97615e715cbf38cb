"""Some methods of speeding up the convergence of iteration methods (Polyak, 1964).

Claim: the heavy ball comes farther than gradient descent in as many steps, each at its best rate.

This is the template of a paper: copy it to `experiments/`, its configuration to `configs/` and its
test to `tests/papers/my_paper/`, and replace what is Polyak's. It runs as it stands:

    python template/experiments/my_paper.py

Departures: say here what differs from the paper, and why.
"""

from __future__ import annotations

import research.early  # answers --help at once

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict
from PIL import Image as Pillow

from research import app, data, training
from research.core import Aux, Experiment, Learner, LearnerState
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Image, Probabilities

PAPER = Paper(
    title="Some methods of speeding up the convergence of iteration methods",
    authors="Boris T. Polyak",
    year=1964,
    arxiv="",
    claim="The heavy ball comes farther than gradient descent in as many steps.",
    parameters={"digits": 650},  # 64 pixels x 10 classes, and 10 biases
    curves=("loss",),
    x="images",
)


class State(flax.struct.PyTreeNode):
    """Everything that training changes: arrays only, so that it can be saved and sharded."""

    learner: LearnerState


class HeavyBall(Experiment):
    """Linear regression on one-hot labels, by gradient descent with a momentum term.

    The parts are attributes, made once; the paper's equations are methods.
    """

    def __init__(self, config: ConfigDict):
        self.config = config
        # The two-step method: w_{t+1} = w_t - alpha grad f(w_t) + beta (w_t - w_{t-1}).
        heavy_ball = optax.sgd(config.optimizer.learning_rate, config.optimizer.momentum)
        self.learner = Learner(nn.Dense(config.data.num_classes), heavy_ball)

        self.num_steps = config.num_steps
        self.per_step = {"images": config.batch_size}
        self.source = data.pipeline.stream(
            lambda: data.load(config.data.name, "train", config.data.dir),
            spec={
                "image": jax.ShapeDtypeStruct((config.data.image_size,) * 2, np.float32),
                "label": jax.ShapeDtypeStruct((), np.int32),
            },
            batch_size=config.batch_size,
            seed=config.seed,
        )
        self._predict = jax.jit(self.predict)

    def init(self, key: jax.Array) -> State:
        pixels = self.config.data.image_size**2
        return State(self.learner.init(key, jnp.zeros((1, pixels))))

    def predict(self, variables: dict, batch: dict) -> jax.Array:
        """Scores `[B, K]` of images `[B, S, S]` in 0 to 16."""
        images = batch["image"] / 16
        return self.learner.apply(variables, images.reshape(len(images), -1))

    def loss(self, variables: dict, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        """The objective f, a quadratic: half the squared distance to the one-hot labels."""
        scores = self.predict(variables, batch)
        labels = jax.nn.one_hot(batch["label"], scores.shape[-1])
        error = 100 * jnp.mean(scores.argmax(-1) != batch["label"])
        return 0.5 * jnp.sum((scores - labels) ** 2, axis=-1).mean(), Aux({"error": error})

    def step(
        self, state: State, batch: dict, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        learner, metrics = self.learner.minimize(state.learner, self.loss, batch, key)
        return State(learner), metrics

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        variables = self.learner.eval_variables(state.learner)
        numbers = {}
        for split in ("train", "test"):
            rows = data.load(self.config.data.name, split, self.config.data.dir)
            scores = training.map_batches(self._predict, variables, rows, self.config.batch_size)
            images = np.stack([row["image"].ravel() for row in rows]) / 16
            labels = np.array([row["label"] for row in rows])
            excess = squared_error(scores, labels) - least_squares(images, labels)
            numbers[f"{split}/excess_loss"] = excess
            numbers[f"{split}/error"] = 100 * np.mean(scores.argmax(-1) != labels)
        return numbers


def squared_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """The objective f of scores `[N, K]` and labels `[N]`."""
    return 0.5 * np.sum((scores - np.eye(scores.shape[1])[labels]) ** 2, axis=1).mean()


def least_squares(images: np.ndarray, labels: np.ndarray) -> float:
    """The smallest f that a linear map of images `[N, D]`, with a bias, can have."""
    inputs = np.c_[images, np.ones(len(images))]
    targets = np.eye(labels.max() + 1)[labels]
    return squared_error(inputs @ np.linalg.lstsq(inputs, targets, rcond=None)[0], labels)


def demo(experiment: HeavyBall, state: State) -> Demo:
    """What the model does for a person: it reads a digit off a picture."""
    variables = experiment.learner.eval_variables(state.learner)
    shape = (experiment.config.data.image_size,) * 2
    one = np.zeros(shape, np.uint8)
    one[:, 3:5] = 255

    def run(picture: np.ndarray) -> dict[str, dict[str, float]]:
        grey = Pillow.fromarray(picture).convert("L").resize(shape)
        scores = experiment.predict(variables, {"image": np.asarray(grey)[None] / 255 * 16})[0]
        shares = np.clip(scores, 0, None) / max(float(np.clip(scores, 0, None).sum()), 1e-6)
        return {"digit": {str(i): float(share) for i, share in enumerate(shares)}}

    return Demo(
        title="Read a digit",
        says="Give it a digit, white on black; the shares are of what each digit scores.",
        inputs={"picture": Image("a digit", one)},
        outputs={"digit": Probabilities("which digit it is")},
        run=run,
    )


def claims(results: Results) -> list[Claim]:
    distance = results["train/excess_loss"]
    return [
        distance.ratio(
            "gradient_descent",
            "heavy_ball",
            3.0,
            claim="momentum comes three times as near to the least loss",
            paper="the rate depends on the root of the condition number",
            digits=4,
        )
    ]


if __name__ == "__main__":
    app.run()
