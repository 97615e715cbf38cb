"""Highway Networks (Srivastava, Greff, Schmidhuber, 2015), arXiv:1505.00387; the long form is
Training Very Deep Networks, arXiv:1507.06228.

Claim: plain networks train worse when they are deeper; layers with a gate that carries their input
train at any depth, and most of them can be taken out again without harm.

Departures: another cure of degradation is an arm beside the paper's, a careful start of plain
layers (orthogonal kernels, Saxe et al., 2013); the third, residual layers, is `resnet.py`. The
paper searches 100 random settings a network; each arm here has the best of several rates, which its
configuration names. The convolutional layouts are FitNet's, with the widths that make the published
number of parameters; the paper does not print them.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import KeptImages
from research.data.pipeline import steps_of
from research.losses.softmax import softmax_loss
from research.metrics import epoch_means
from research.metrics.classification import test_errors, view_probabilities
from research.models.highway import DeepConvNet, DeepMLP
from research.papers.highway_networks.figures import draw_layers, gate_map
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Image, Number, Probabilities
from research.report.image_demo import classify_demo, classify_views

PAPER = Paper(
    title="Highway Networks",
    authors="Rupesh Kumar Srivastava, Klaus Greff, Jürgen Schmidhuber",
    year=2015,
    arxiv="1505.00387",
    field="images",
    method="highway_100",
    claim="Plain networks train worse when they are deeper; gated ones train at any depth.",
    parameters={
        # Section 3.1: equal parameters in each layer, 50 units with gates and 71 without.
        "mnist100": 784 * 50 + 50 + 99 * 2 * (50 * 50 + 50) + 510,
        "mnist100_plain": 784 * 71 + 71 + 99 * (71 * 71 + 71) + 720,
        "cifar19": 2_274_186,  # by layers; «2.3M» in table 1
    },
    curves=("loss",),
    x="images",
)


class State(flax.struct.PyTreeNode):
    """What a step changes.

    Attributes:
      learner: the network and its optimizer.
      epoch: loss and error over the epoch so far, which the claims compare at the end.
    """

    learner: LearnerState
    epoch: epoch_means.EpochMeans


class HighwayNetworks(Experiment):
    """A deep network on images, by SGD with momentum and an exponentially falling rate."""

    def __init__(self, config: ConfigDict):
        self.config = config
        data = config.data
        self.images = Images(
            ImageSplits(data.name, data.image_size, data.dir),
            data.image_size,
            data.channels,
            augmentation=data.augmentation,
            train_split=data.train_split,
            test_split=data.test_split,
            num_train=data.num_train,
            statistics_images=data.statistics_images,
        )
        self.kept = KeptImages(self.images, data.num_classes)
        self.assets = (self.kept,)
        self.network = self.build_network(config.model, data.num_classes)
        # «The learning rate is decayed exponentially»: by a factor after each epoch.
        self.epoch_steps = steps_of(1, data.num_train, config.batch_size, "down")
        optimizer = config.optimizer
        self.rate = optax.exponential_decay(
            optimizer.learning_rate, self.epoch_steps, optimizer.decay, staircase=True
        )
        self.learner = Learner(
            self.network,
            optax.chain(
                optax.add_decayed_weights(optimizer.l2_penalty),
                optax.sgd(self.rate, optimizer.momentum),
            ),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.num_steps = config.num_epochs * self.epoch_steps
        self.source = self.images.stream(config.batch_size, config.seed)
        self.per_step = {"images": config.batch_size}
        self.micro_batches = config.accumulate_steps
        self.classify = jax.jit(self.probabilities)
        self.look = jax.jit(self.gates_and_error)

    def build_network(self, model: ConfigDict, num_classes: int) -> DeepMLP | DeepConvNet:
        common: dict[str, Any] = {
            "num_classes": num_classes,
            "block": model.block,
            "activation": model.activation,
            "initializer": model.initializer,
            "transform_bias": model.transform_bias,
            "dtype": jnp.dtype(self.config.compute_dtype),
        }
        if model.stages:
            return DeepConvNet(model.stages, dropout=model.dropout, **common)
        return DeepMLP(model.depth, model.width, **common)

    def init(self, key: jax.Array) -> State:
        images = jnp.zeros((1, *self.images.shape))
        return State(self.learner.init(key, images), epoch_means.start())

    def predict(self, variables: Any, images: Any, **kwargs: Any) -> tuple[jax.Array, Any]:
        """Logits `[B, K]` and gates of images `[B, S, S, C]`, see `research.models.highway`."""
        return self.learner.apply(variables, images * self.config.data.scale, **kwargs)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of a batch: "image" `[B, S, S, C]` float32, "label" `[B]` int32."""
        logits, looks = self.predict(variables, batch["image"], train=True, rngs={"dropout": key})
        loss, error = softmax_loss(logits, batch["label"])
        mean_gate = jnp.mean(jnp.stack([gate.mean() for gate in looks["gates"]]))
        return loss, Aux({"error": error, "gate": mean_gate})

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        learner, metrics = self.learner.minimize(state.learner, self.loss, batch, key)
        epoch = epoch_means.add(state.epoch, t, self.epoch_steps, metrics)
        return State(learner, epoch), {**metrics, "learning_rate": self.rate(t)}

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        train = epoch_means.read(state.epoch)
        probabilities, labels = training.map_batches(
            self.classify,
            self.learner.eval_variables(state.learner),
            self.images.test_rows,
            self.config.test_batch_size,
        )
        return {
            **{f"train/{name}": value for name, value in train.items()},
            "test/error": test_errors(probabilities, labels)["error"],
        }

    def probabilities(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Classes `[B, K]` of test images, and their labels `[B]`."""
        predict = lambda images: self.predict(variables, images)[0]  # noqa: E731
        return view_probabilities(predict, rows["views"]), rows["label"]

    def gates_and_error(
        self, variables: Any, images: jax.Array, labels: jax.Array, removed: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Mean gate `[L, W]` of each layer and channel, and the error, with some layers removed."""
        logits, looks = self.predict(variables, images, removed=removed)
        gates = jnp.stack([gate.reshape(-1, gate.shape[-1]).mean(0) for gate in looks["gates"]])
        return gates, 100 * jnp.mean(logits.argmax(-1) != labels)

    def lesions(self, state: State) -> tuple[np.ndarray, np.ndarray, float]:
        """Removes each layer in turn (section 4.2 of the long paper).

        Returns:
          Mean gates `[L, W]`; training error `[L]` in percent without each layer; that of all.
        """
        variables = self.learner.eval_variables(state.learner)
        count = min(self.config.lesion_images, len(self.images.train))
        records = [self.images.train[i] for i in range(count)]
        images = np.stack([self.images.plain(record) for record in records])
        labels = np.array([record["label"] for record in records])
        num_layers = self.config.model.depth - 1
        gates, whole = self.look(variables, images, labels, np.zeros(num_layers, bool))
        errors = [self.look(variables, images, labels, row)[1] for row in np.eye(num_layers) > 0]
        return np.asarray(gates), np.asarray(errors), float(whole)


def main(experiment: HighwayNetworks, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    if config.model.block == "plain" or config.model.stages:
        return dict(numbers)  # a plain layer carries nothing: it cannot be removed
    gates, errors, whole = experiment.lesions(state)
    draw_layers(workdir / "layers.png", gates, errors, whole)
    return {
        **numbers,
        "lesion/harmless": float(np.mean(errors < whole + 1)),  # share of the layers
        "lesion/worst": float(errors.max()),
    }


def demo(experiment: HighwayNetworks, state: State) -> Demo:
    """Classifies an image while layers are taken out of the network."""
    kept, variables = experiment.kept, experiment.learner.eval_variables(state.learner)
    if not isinstance(experiment.network, DeepMLP):
        classify = functools.partial(experiment.classify, variables)
        return classify_demo(kept, classify_views(kept, classify))
    num_layers = experiment.network.depth - 1

    def run(picture: np.ndarray, first: int, count: int) -> Mapping[str, Any]:
        pixels = experiment.images.plain(kept.record(picture))[None]
        layers = np.arange(1, num_layers + 1)
        removed = (layers >= first) & (layers < first + count)
        logits, looks = experiment.predict(variables, pixels, removed=removed)
        shares = np.asarray(jax.nn.softmax(logits[0]), np.float64)
        return {
            "classes": dict(zip(kept.class_names, map(float, shares), strict=True)),
            "gates": gate_map(np.asarray(looks["gates"][:, 0])),
        }

    return Demo(
        title="Take layers out of a deep network",
        says="An image is classified while some of the layers do nothing but pass their input on.",
        inputs={
            "picture": Image("a picture", kept.examples[0].picture),
            "first": Number("first layer taken out", 1, 1, num_layers),
            "count": Number("how many are taken out", 0, 0, num_layers),
        },
        outputs={
            "classes": Probabilities("what it shows"),
            "gates": Image("gates: a row a layer, bright where it transforms"),
        },
        run=run,
        examples=[{"count": count} for count in (0, num_layers // 4, num_layers)],
    )


def claims(results: Results) -> list[Claim]:
    """Compares the mean training loss of the last epoch: the paper is about optimization."""
    depths = sorted({int(arm.split("_")[1]) for arm in results.arms if "_" in arm})
    if not depths:  # one network alone
        return []
    low, high = depths[0], depths[-1]
    loss = results["train/loss"]
    rows = [
        loss.above(
            f"plain_{high}",
            f"plain_{low}",
            by=0.3,
            claim="plain networks train worse when deeper",
            paper="MNIST: plain networks of 50 and 100 layers do not reach what 10 do (figure 1)",
        ),
        loss.above(
            f"plain_{high}",
            f"highway_{high}",
            by=0.3,
            claim="gates cure it",
            paper="MNIST: highways of 100 layers train as those of 10 do (figure 1)",
        ),
        loss.at_most(
            f"highway_{high}",
            0.25,
            claim="training loss of the deep highway, nats",
            paper="figure 1",
        ),
        results["lesion/harmless"].at_least(
            f"highway_{high}",
            0.5,
            claim="share of the layers that can each be taken out for less than a point of error",
            paper="MNIST: most layers beyond the fifteenth of 50 (1507.06228, figure 4)",
        ),
    ]
    if f"careful_{high}" in results.arms:
        rows.append(
            loss.above(
                f"plain_{high}",
                f"careful_{high}",
                by=0.3,
                claim="so does a careful start, without gates: orthogonal kernels and tanh",
                paper="not in it (Saxe et al., 2013)",
            )
        )
    return rows


if __name__ == "__main__":
    app.run()
