"""ImageNet Classification with Deep Convolutional Neural Networks (Krizhevsky, Sutskever, Hinton,
2012), with its dropout: Improving neural networks by preventing co-adaptation of feature detectors
(Hinton, Srivastava, Krizhevsky, Sutskever, Salakhutdinov, 2012), arXiv:1207.0580.

Claim: networks of rectified linear units learn several times faster than those of tanh; dropout
makes them err less on new images.

The two towers are convolutions in two groups; on a mesh with `model` = 2, devices of their own.
Departures: the error that the rate follows is measured on a few held-out images at every step,
where the authors looked at it; `augment.jitter_colour`'s.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research import config as configs
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import KeptImages
from research.data.pipeline import MergedStreams, steps_of
from research.losses.softmax import softmax_loss, top1_error
from research.metrics.classification import cross_entropy, test_errors, view_probabilities
from research.models.alexnet import ACTIVATIONS, ARCHITECTURES, TOWER_RULES, AlexNet, apply_towers
from research.optim.error_schedule import ErrorSchedule, ScheduleState
from research.optim.momentum import momentum_sgd
from research.papers.alexnet.dropout_sgd import dropout_sgd, rising
from research.papers.alexnet.error_target import run_to_error
from research.pods.equivalence import after_one_step, largest_difference
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.image_demo import classify_demo, classify_views
from research.training import sharding
from research.training.program import Program

PAPER = Paper(
    title="ImageNet Classification with Deep Convolutional Neural Networks",
    authors="Alex Krizhevsky, Ilya Sutskever, Geoffrey Hinton",
    year=2012,
    arxiv="",
    field="images",
    claim="Rectified linear units learn faster than tanh; dropout lowers the error on new images.",
    parameters={"two_towers": 60_965_224, "one_tower": 62_378_344},
    curves=("error", "loss"),
    x="images",
)
HELD_OUT = "held_out_"


def alexnet_sgd(
    learning_rate: float | jax.Array, bias_rate: float, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """Section 5, with a rate of biases that is `bias_rate` times that of weights."""
    return momentum_sgd(learning_rate, bias_rate * learning_rate, momentum, weight_decay)


class State(flax.struct.PyTreeNode):
    """What a step changes.

    Attributes:
      learner: the network and its optimizer.
      schedule: what the learning rate follows.
    """

    learner: LearnerState
    schedule: ScheduleState


class ImageNetClassification(Experiment):
    """A convolutional network, or one of fully-connected layers, with the training of either paper.

    `optimizer.rule` "alexnet" is momentum with weight decay, and a rate that follows the error;
    "dropout" is a rate that decays, a momentum that rises, and a limit on each unit's weights.
    """

    reads_log = True  # for the epochs to an error

    def __init__(self, config: ConfigDict):
        self.config = config
        data = config.data
        check_choice("model.variant", config.model.variant, ARCHITECTURES)
        check_choice("model.activation", config.model.activation, ACTIVATIONS)
        if config.check_towers:
            check_choice("check_towers", config.check_towers, ARCHITECTURES)
        if config.mesh.model not in (1, ARCHITECTURES[config.model.variant].towers):
            raise UserError(f"mesh.model is 1 or the number of towers of {config.model.variant!r}")
        self.images = Images(
            ImageSplits(data.name, data.image_size, data.dir),
            data.image_size,
            data.channels,
            augmentation=data.augmentation,
            train_split=data.train_split,
            test_split=data.test_split,
            num_train=data.num_train,
            reduce=data.reduce,
            statistics_images=data.statistics_images,
            short_sides=config.test.short_sides,
            crops=config.test.crops,
            num_classes=data.num_classes,
        )
        self.kept = KeptImages(self.images, data.num_classes)
        self.assets = (self.kept,)
        self.schedule = ErrorSchedule(**config.schedule)
        self.model = AlexNet(
            num_classes=data.num_classes,
            dtype=jnp.dtype(config.compute_dtype),
            **{**config.model, "norm": config.model.norm.to_dict()},
        )
        self.learner = Learner(
            self.model,
            self._optimizer(),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.epoch_steps = self.steps_in(1)
        self.num_steps = self.steps_in(config.num_epochs)
        self.source = MergedStreams(self._streams())
        self.rules = TOWER_RULES
        self.per_step = {"images": config.batch_size}
        self.micro_batches = config.accumulate_steps
        self.classify = jax.jit(self.probabilities)

    def _optimizer(self) -> optax.GradientTransformation:
        """The paper's, whose rates every step sets."""
        o = self.config.optimizer
        learning_rate = self.config.schedule.learning_rate
        if o.rule == "alexnet":
            fixed = {
                "bias_rate": o.bias_rate,
                "momentum": o.momentum,
                "weight_decay": o.weight_decay,
            }
            injected = optax.inject_hyperparams(alexnet_sgd, static_args=tuple(fixed))
            return injected(learning_rate=learning_rate, **fixed)
        if o.rule == "dropout":
            return optax.inject_hyperparams(dropout_sgd, static_args="max_squared_norm")(
                learning_rate=learning_rate,
                momentum=o.rising.start,
                max_squared_norm=o.max_squared_norm,
            )
        raise UserError(f"optimizer.rule is alexnet or dropout, not {o.rule!r}")

    def _streams(self) -> dict[str, Any]:
        """Training images, and of another split those that the rate follows the error on."""
        config = self.config
        streams = {"": self.images.stream(config.batch_size, config.seed)}
        if config.held_out_rows:
            streams[HELD_OUT] = self.images.plain_stream(
                config.data.held_out_split, config.held_out_rows, config.seed
            )
        return streams

    def steps_in(self, epochs: float) -> int:
        """Steps in so many epochs; runs end after half an epoch too, at the closest step."""
        return steps_of(epochs, self.config.data.num_train, self.config.batch_size, "nearest")

    def init(self, key: jax.Array) -> State:
        images = jnp.zeros((1, *self.images.shape))
        return State(learner=self.learner.init(key, images), schedule=self.schedule.init())

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of a batch: "image" `[B, S, S, C]` float32, "label" `[B]` int32."""
        # What is dropped follows from a row's number, whichever device has it.
        rows = jnp.arange(len(batch["label"]))
        keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
        logits = apply_towers(self.model, variables["params"], batch["image"], keys)
        loss, error = softmax_loss(logits, batch["label"])
        return loss, Aux({"error": error})

    def rates(self, schedule: ScheduleState, t: jax.Array) -> dict[str, jax.Array]:
        """Learning rate, and momentum where it changes, of step `t`."""
        o = self.config.optimizer
        rate = self.schedule.rate(schedule, t)
        if o.rule == "alexnet":
            return {"learning_rate": rate}
        epoch = t // self.epoch_steps
        return {
            "learning_rate": rate * o.rate_decay**epoch,
            "momentum": rising(epoch, **o.rising),
        }

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        config = self.config
        rates = self.rates(state.schedule, t)
        learner = self.learner.set_hyperparams(state.learner, **rates)
        images = {name: batch[name] for name in ("image", "label")}
        new, metrics = self.learner.minimize(learner, self.loss, images, key)

        followed = metrics["error"]
        if config.held_out_rows:  # as the weights were before the step
            logits = apply_towers(self.model, learner.params, batch[f"{HELD_OUT}image"])
            followed = top1_error(logits, batch[f"{HELD_OUT}label"])
            metrics["held_out_error"] = followed
        schedule = self.schedule.update(state.schedule, t, followed)
        return State(learner=new, schedule=schedule), {**metrics, **rates}

    def probabilities(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Classes of test images, averaged over their views: `[B, K]`; and their labels `[B]`."""

        def predict(images: jax.Array) -> jax.Array:
            return self.learner.apply(variables, images)

        return view_probabilities(predict, rows["views"]), rows["label"]

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        probabilities, labels = training.map_batches(
            self.classify,
            self.learner.eval_variables(state.learner),
            self.images.test_rows,
            self.images.images_in(self.config.test.batch_size),
        )
        numbers = {
            "cross_entropy": cross_entropy(probabilities, labels),
            "images": len(labels),
            **test_errors(probabilities, labels),
        }
        return {f"test/{name}": value for name, value in numbers.items()}


def check_towers(config: ConfigDict) -> float:
    """The largest relative difference of a weight's change in a step, with dropout, between two
    towers on two devices and two groups on one."""

    def velocities(towers: int) -> dict[str, np.ndarray]:
        setting = configs.with_overrides(
            config,
            {
                "model.variant": config.check_towers,
                "model.dropout": 0.5,
                "held_out_rows": 0,
                "mesh.data": 1,
                "mesh.model": towers,
            },
        )
        mesh = sharding.make_mesh(setting.mesh, jax.devices()[:towers])
        program = Program(ImageNetClassification(setting), mesh)
        return after_one_step(program, config.seed, {"label": 10})

    return largest_difference(velocities(2), velocities(1), "trace")


def main(experiment: ImageNetClassification, config: ConfigDict, workdir: Path) -> dict[str, float]:
    stops = [config.num_epochs]
    if every := config.stop_at_target_every_epochs:
        stops = [*np.arange(every, config.num_epochs, every).tolist(), config.num_epochs]
    _, numbers, steps = run_to_error(
        experiment,
        [experiment.steps_in(epochs) for epochs in stops],
        config.target_error,
        config,
        workdir,
    )
    # A run that does not get there counts as its whole length.
    numbers["epochs_to_target"] = steps * config.batch_size / config.data.num_train
    if config.check_towers and jax.device_count() > 1 and jax.process_count() == 1:
        numbers["towers_difference"] = check_towers(config)
    return numbers


def demo(experiment: ImageNetClassification, state: State) -> Demo:
    variables = experiment.learner.eval_variables(state.learner)
    classify = functools.partial(experiment.classify, variables)
    return classify_demo(experiment.kept, classify_views(experiment.kept, classify))


def claims(results: Results) -> list[Claim]:
    rows = []
    relu = [arm for arm in results.arms if arm.startswith("relu")]
    tanh = [arm for arm in results.arms if arm.startswith("tanh")]
    if relu and tanh:
        epochs = results["epochs_to_target"]
        rows += [
            # Each at its best rate.
            epochs.ratio(
                min(tanh, key=lambda arm: (epochs[arm].mean(), arm)),
                min(relu, key=lambda arm: (epochs[arm].mean(), arm)),
                1.5,
                claim="tanh takes more epochs than ReLU to 25 % training error, each at its best "
                "rate",
                paper="six times",
                digits=1,
            )
        ]
    if "dropout" in results.arms:
        # Of fewer images too few are wrong for errors to be told apart.
        enough = results["test/images"]["dropout"].min() >= 1000
        for metric, judged in (("error", enough), ("cross_entropy", True)):
            rows += [
                results[f"test/{metric}"].ratio(
                    "no_dropout",
                    "dropout",
                    1 / 0.85,
                    claim=f"dropout lowers the test {metric.replace('_', '-')} by 15 %",
                    paper="160 to 110 of 10,000",
                    digits=3,
                    judged=bool(judged),
                )
            ]
    if "towers_difference" in results.metrics:
        differences = results["towers_difference"]
        rows += [
            differences.at_most(
                arm,
                1e-4,
                claim="towers on two devices are grouped convolutions (relative difference)",
                paper="the same function",
                digits=7,
            )
            for arm in differences
        ]
    return rows


if __name__ == "__main__":
    app.run()
